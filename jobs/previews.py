"""What a job looks like while it is drawn: its last preview, in Redis for a short while.

Nothing depends on it, so a Redis that is away costs a preview and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
from uuid import UUID

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from servers.foreign_data import picture_kind

LIFE = 60
"""Seconds."""
_PATIENCE = 0.25

_CONTENT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WebP": "image/webp"}


def keep(job_id: UUID, picture: bytes) -> None:
    """Keep the newest preview of a job, as `servers.forge_replies` let it through."""
    with contextlib.suppress(redis.RedisError):
        _client().set(_name(job_id), picture, ex=LIFE)


def find(job_id: UUID) -> tuple[bytes, str] | None:
    """The newest preview of a job and its content type; None if there is none, or none yet."""
    with contextlib.suppress(redis.RedisError):
        found = _client().get(_name(job_id))
        if isinstance(found, bytes) and (kind := picture_kind(found)):
            return found, _CONTENT_TYPES[kind]
    return None


def address_of(job_id: UUID) -> str:
    """Where the newest preview is to be had."""
    return f"/api/v1/queue/jobs/{job_id}/preview"


def _name(job_id: UUID) -> str:
    return f"stablequeue:preview:{job_id}"


@functools.cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=_PATIENCE,
        socket_connect_timeout=_PATIENCE,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
    )
