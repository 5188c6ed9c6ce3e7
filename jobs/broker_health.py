"""What Redis says of itself: whether it answers, takes messages, and would throw them away."""

from __future__ import annotations

import logging
from enum import StrEnum

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

logger = logging.getLogger(__name__)

_SECONDS = 1.0
_TRY_KEY = "stablequeue:health"


class BrokerState(StrEnum):
    """How Redis stands."""

    WELL = "well"
    #: Nobody answers at its address.
    AWAY = "away"
    #: It answers, and takes nothing: it is full, or a replica, or misses its own.
    REFUSES = "refuses"
    #: It works, and throws messages away when it is full.
    EVICTS = "evicts"


def look() -> BrokerState:
    """Ask Redis; takes a second or two at most."""
    with _client() as client:
        try:
            return _state(client)
        except redis.ResponseError:
            return BrokerState.REFUSES
        except redis.RedisError:
            return BrokerState.AWAY


def warn_of_eviction() -> None:
    """Write a line to the log if Redis throws messages away when it is full."""
    if look() is BrokerState.EVICTS:
        logger.warning(
            "Redis throws messages away when it is full (its maxmemory-policy is one of "
            "allkeys-…). They are sent again, but jobs start late. Set maxmemory-policy noeviction."
        )


def _state(client: redis.Redis) -> BrokerState:
    client.set(_TRY_KEY, 1, ex=60)
    # Not CONFIG GET, which some hosts of Redis refuse.
    memory = client.info("memory")
    policy, limit = str(memory.get("maxmemory_policy", "")), int(memory.get("maxmemory", 0))
    # The queues never expire, so policies that throw away only what does leave them alone.
    return BrokerState.EVICTS if limit and policy.startswith("allkeys") else BrokerState.WELL


def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=_SECONDS,
        socket_connect_timeout=_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
