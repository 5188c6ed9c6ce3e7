"""The way to Redis, which outlives what is no message.

kombu lets an item that it cannot read end the worker, with all that runs in it.
"""

from __future__ import annotations

import logging
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

logger = logging.getLogger(__name__)


class Channel(redis.Channel):
    """Drops what is in a queue and is no message."""

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # missing in its types
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("dropped from a queue what is no message: %r", error)
            raise Empty from None


class Transport(redis.Transport):
    """kombu's own, with our channel."""

    Channel = Channel


def use_it() -> None:
    """Have every connection to a redis:// address made by this transport."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
