"""Counts the requests of a window: in Redis for all processes, or alone while Redis is away."""

from __future__ import annotations

import functools
import logging
import threading
import time
from typing import Any

import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

_INCREASE = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then
    redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return count
"""
"""A counter gets its life with its first step, so none can be left behind without one."""

_MAX_CONNECTIONS = 1000
"""More than threads: a thread uses one at a time, and running out would look like an outage."""


class RateLimitCache(BaseCache):
    """What django-ratelimit takes for a cache: it will `add` a counter and then `incr` it.

    Both happen in `incr`, in one trip to Redis; `add` only notes how long a new counter
    lives. Nothing else of a cache is here. Django makes one such object per thread.
    """

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        """Take the Redis at `location`; `OPTIONS` are `patience` and `rest` of SharedCounters."""
        super().__init__(params)
        with _making:
            self._counters = _counters_at(location, **params["OPTIONS"])
        self._life = 0

    def add(
        self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Note the life of the counter that the next `incr` may begin, and say it is there."""
        self._life = int(timeout)
        return False

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Count one more; returns the new number."""
        return self._counters.increase(self.make_key(key, version), self._life)


class SharedCounters:
    """Counters that all processes on one Redis share.

    A Redis that does not answer within `patience` seconds is left alone for `rest` seconds.
    Meanwhile each process counts by itself: a limit then holds for each of them, and nobody
    waits. After that one request tries Redis again.
    """

    def __init__(self, url: str, *, patience: float, rest: float) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_connect_timeout=patience,
            socket_timeout=patience,
            retry=Retry(NoBackoff(), 0),
            max_connections=_MAX_CONNECTIONS,
            protocol=2,
        )
        self._breaker = Breaker(rest)
        self._own = OwnCounters()

    def increase(self, name: str, life: int) -> int:
        """Count one more under `name`; one that is new is forgotten after `life` seconds."""
        if self._breaker.lets_through():
            try:
                count = int(self._redis.eval(_INCREASE, 1, name, str(life)))
            except redis.RedisError as error:
                if self._breaker.open():
                    kind = type(error).__name__
                    logger.warning("rate limits count per process, Redis is away: %s", kind)
            else:
                if self._breaker.close():
                    logger.info("rate limits are exact again, Redis is back")
                return count
        return self._own.increase(name, life)


class Breaker:
    """Keeps callers from something that failed, but for one of them every `rest` seconds."""

    def __init__(self, rest: float) -> None:
        self._rest = rest
        self._lock = threading.Lock()
        self._is_open = False
        self._next_try = 0.0

    def lets_through(self) -> bool:
        """Say whether to try; while open, to one caller of many."""
        with self._lock:
            if not self._is_open:
                return True
            if time.monotonic() < self._next_try:
                return False
            self._next_try = time.monotonic() + self._rest
            return True

    def open(self) -> bool:
        """Report a failure; says whether it is news."""
        with self._lock:
            was_open, self._is_open = self._is_open, True
            self._next_try = time.monotonic() + self._rest
            return not was_open

    def close(self) -> bool:
        """Report a success; says whether it is news."""
        with self._lock:
            was_open, self._is_open = self._is_open, False
            return was_open


class OwnCounters:
    """Counters of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._ends: dict[str, float] = {}

    def increase(self, name: str, life: int) -> int:
        """Count one more under `name`; one that is new is forgotten after `life` seconds."""
        with self._lock:
            if name not in self._counts:
                self._forget_the_ended()
                self._ends[name] = time.monotonic() + life
            self._counts[name] = self._counts.get(name, 0) + 1
            return self._counts[name]

    def _forget_the_ended(self) -> None:
        now = time.monotonic()
        for name in [name for name, end in self._ends.items() if end <= now]:
            del self._ends[name], self._counts[name]


_making = threading.Lock()


@functools.cache
def _counters_at(url: str, *, patience: float, rest: float) -> SharedCounters:
    """Return the counters of this process on one Redis; hold `_making` while asking."""
    return SharedCounters(url, patience=patience, rest=rest)
