"""Handing messages to the workers. They carry ids only and may get lost: each is sent again
until a worker took it up, and taking one up twice is a no-op.
"""

from __future__ import annotations

import logging
import time

import redis
from celery import current_app
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerError

from jobs.models import Slot

logger = logging.getLogger(__name__)

CHORES = "chores"


class Post:
    """The dispatcher's way to the broker, with a memory of what was sent when."""

    def __init__(self) -> None:
        self._sent_at: dict[str, float] = {}
        self._broker_is_down = False
        self._redis = redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2
        )

    def deliver(self, slot: Slot) -> bool:
        """Send the message of a slot that no worker has taken up yet.

        A promised slot runs its job; any other is to be recovered. The task is named
        after job and attempt, so that Flower and our pages speak of the same thing.
        """
        name = f"{slot.job_id or slot.task_id}:{slot.attempt}"
        if slot.state == Slot.State.ADMITTED:
            sent = self._send("jobs.run", [str(slot.job_id), slot.attempt], slot, name)
        else:
            sent = self._send("jobs.recover", [slot.server_id, slot.attempt], slot, name)
        if sent:
            self._sent_at[name] = time.monotonic()
        return sent

    def redeliver(self, waiting: list[Slot]) -> None:
        """Send again what was sent long ago, or never, and lies in no queue."""
        names = {f"{slot.job_id or slot.task_id}:{slot.attempt}": slot for slot in waiting}
        self._sent_at = {name: at for name, at in self._sent_at.items() if name in names}
        for name, slot in names.items():
            sent_at = self._sent_at.get(name)
            if sent_at is not None and time.monotonic() - sent_at < settings.RESEND_AFTER:
                continue
            if self._lies_in_queue(slot) or not self.deliver(slot):
                continue
            logger.info("message %s sent %s", name, "again" if sent_at else "")

    def probe(self, server_id: int) -> bool:
        """Have a server's health looked at."""
        return self._publish(
            "servers.probe", [server_id], CHORES, None, expires=settings.PROBE_HEALTHY_EVERY
        )

    def _send(self, task: str, args: list[object], slot: Slot, name: str) -> bool:
        return self._publish(task, args, slot.server.queue_name, name)

    def _publish(
        self,
        task: str,
        args: list[object],
        queue: str,
        name: str | None,
        expires: float | None = None,
    ) -> bool:
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
            return False
        if self._broker_is_down:
            logger.info("Redis is back")
        self._broker_is_down = False
        return True

    def _lies_in_queue(self, slot: Slot) -> bool:
        """Whether the server's queue holds a message already, for a worker yet to come."""
        try:
            return bool(self._redis.llen(slot.server.queue_name))
        except redis.RedisError:
            return False
