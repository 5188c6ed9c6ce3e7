"""Ends a worker that has gone deaf: free threads, messages in its queues, and it takes none.

Celery workers are known to stay connected to Redis after a reconnection and to consume
nothing any more, until somebody restarts them. Nothing inside such a process can be trusted
to mend it, so it ends, and its supervisor starts it again.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Collection
from typing import Any

import redis
from celery import bootsteps
from celery.worker import state as celery_state
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

EXIT_CODE = os.EX_TEMPFAIL


class Hearing:
    """Counts the looks in a row in which a worker should have taken a message and did not.

    Pure; it counts its own looks, so a process that was frozen for a while is not deaf.
    """

    def __init__(self, deaf_after: int) -> None:
        """`deaf_after`: calls of `look` in a row until the worker counts as deaf."""
        self._deaf_after = deaf_after
        self._taken = 0
        self.missed = 0
        """The looks in a row so far."""

    def look(self, *, taken: int, has_free_thread: bool, messages: int | None) -> bool:
        """Take note of how things stand; says whether the worker is deaf by now.

        `taken` is the number of messages it has taken in its life, `messages` those that lie in
        its queues, None if Redis does not say.
        """
        takes = taken != self._taken
        self._taken = taken
        misses = has_free_thread and not takes and bool(messages)
        self.missed = self.missed + 1 if misses else 0
        return self.missed >= self._deaf_after

    @property
    def is_doubtful(self) -> bool:
        """Whether a good part of the looks is missed, so that nobody should count on it."""
        return self.missed * 4 >= self._deaf_after


class Watchdog(bootsteps.StartStopStep):
    """Worker step: a thread of its own, as the timer of a deaf worker may stand still too."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        self._stopping = threading.Event()
        worker.hearing = Hearing(round(settings.DEAF_AFTER / settings.WORKER_BEAT))

    def start(self, worker: Any) -> None:
        """Called once, when the worker starts."""
        threading.Thread(target=self._watch, args=(worker,), daemon=True, name="watchdog").start()

    def stop(self, worker: Any) -> None:
        """Called when the worker is told to end: from then on it rightly takes nothing."""
        self._stopping.set()

    def close(self, parent: Any) -> None:
        """Called a little before `stop`."""
        self.stop(parent)

    def _watch(self, worker: Any) -> None:
        client = _client()
        while not self._stopping.wait(settings.WORKER_BEAT):
            is_deaf = worker.hearing.look(
                taken=celery_state.all_total_count[0],
                has_free_thread=len(celery_state.reserved_requests) < worker.pool.limit,
                messages=_messages(client, _queues_of(worker)),
            )
            if is_deaf and not self._stopping.is_set():
                logger.critical(
                    "this worker has free threads and takes no message any more; it ends, "
                    "for its supervisor to start it again"
                )
                logging.shutdown()
                os._exit(EXIT_CODE)


def _queues_of(worker: Any) -> Collection[str]:
    """What `jobs.consumer` has said that the worker serves; nothing before it has."""
    return getattr(worker.consumer, "queues_to_serve", ())


def _messages(client: redis.Redis, queues: Collection[str]) -> int | None:
    try:
        with client.pipeline(transaction=False) as asked:
            for queue in queues:
                asked.llen(queue)
            return sum(map(int, asked.execute()))
    except redis.RedisError:
        return None


def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=2,
        socket_connect_timeout=2,
        retry=Retry(NoBackoff(), 0),
    )
