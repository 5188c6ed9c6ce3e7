"""Handing messages to the workers. They carry ids only and may get lost: each is sent again
until a worker took it up, and taking one up twice is a no-op.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerError
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.models import Job, Slot

logger = logging.getLogger(__name__)

CHORES = "chores"
SCANS = "scans"
"""For chores that may take minutes. Who does them sees to it that they take few threads."""

MOST_CHORES = 200
"""Messages that may wait in that queue: a Redis without a worker must not fill up."""


@dataclass(frozen=True)
class Message:
    """What a worker is told. `name` is the Celery task's id."""

    name: str
    task: str
    args: tuple[str | int, ...]
    queue: str

    @classmethod
    def to_run(cls, *, job_id: UUID, attempt: int, queue: str) -> Message:
        """Begin an attempt of a job. Named after both, as our pages and Flower name it."""
        return cls(f"{job_id}:{attempt}", "jobs.run", (str(job_id), attempt), queue)

    @classmethod
    def to_collect(cls, job: Job) -> Message:
        """Finish a drawn job whose worker is gone, under its next attempt."""
        name = f"{job.id}:{job.attempt + 1}"
        return cls(name, "jobs.collect", (str(job.id), job.attempt), job.server.queue_name)

    @classmethod
    def about(cls, slot: Slot) -> Message:
        """What a slot waits for: to run the job it was promised to, else to be recovered."""
        queue, attempt = slot.server.queue_name, slot.attempt
        if slot.state == Slot.State.ADMITTED and slot.job_id is not None:
            return cls.to_run(job_id=slot.job_id, attempt=attempt, queue=queue)
        name = f"{slot.job_id or slot.task_id}:{attempt}"
        return cls(name, "jobs.recover", (slot.server_id, attempt), queue)


class Post:
    """The dispatcher's way to the broker, with a memory of what was sent when."""

    def __init__(self) -> None:
        self._sent_at: dict[str, float] = {}
        self._broker_is_down = False
        self._next_try = 0.0
        self._redis = redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=2,
            socket_connect_timeout=2,
            retry=Retry(NoBackoff(), 0),
        )

    def deliver(self, message: Message) -> bool:
        """Send a message. False if the broker cannot be reached: it is sent again later."""
        sent = self._publish(message.task, message.args, message.queue, message.name)
        if sent:
            self._sent_at[message.name] = time.monotonic()
        return sent

    def redeliver(self, waiting: Iterable[Message]) -> None:
        """Send again what was sent long ago, or never, and lies in no queue."""
        messages = {message.name: message for message in waiting}
        self._sent_at = {name: at for name, at in self._sent_at.items() if name in messages}
        for message in messages.values():
            sent_at = self._sent_at.get(message.name)
            if sent_at is not None and time.monotonic() - sent_at < settings.RESEND_AFTER:
                continue
            if not self._length(message.queue) and self.deliver(message):
                logger.info("message %s is on its way again", message.name)

    def probe(self, server_id: int) -> bool:
        """Have a server's health looked at."""
        return self.chore("servers.probe", (server_id,), expires=settings.PROBE_HEALTHY_EVERY)

    def chore(
        self, task: str, args: Sequence[object] = (), *, expires: float, queue: str = CHORES
    ) -> bool:
        """Have a chore done, unless nobody begins it within `expires` seconds.

        False if it could not be sent, or so many wait that nobody seems to do them.
        """
        return self._length(queue) < MOST_CHORES and self._publish(
            task, args, queue, None, expires=expires
        )

    def _publish(
        self,
        task: str,
        args: Sequence[object],
        queue: str,
        name: str | None,
        expires: float | None = None,
    ) -> bool:
        # One message at a time finds out that Redis does not answer, and waits for it: a
        # leader that waited for each would look as dead as a frozen one.
        if self._broker_is_down and time.monotonic() < self._next_try:
            return False
        try:
            current_app.send_task(
                task,
                args=args,
                queue=queue,
                task_id=name,
                expires=expires,
                retry=False,
                ignore_result=True,
            )
        except (BrokerError, redis.RedisError, OSError) as error:
            if not self._broker_is_down:
                logger.warning("Redis cannot be reached, jobs wait in Postgres: %s", error)
            self._broker_is_down = True
            self._next_try = time.monotonic() + settings.BROKER_REST
            return False
        if self._broker_is_down:
            logger.info("Redis is back")
        self._broker_is_down = False
        return True

    def _length(self, queue: str) -> int:
        """How many messages the queue holds, for a worker yet to come; 0 if Redis is away."""
        if self._broker_is_down:
            return 0
        try:
            return int(self._redis.llen(queue))
        except redis.RedisError:
            return 0
