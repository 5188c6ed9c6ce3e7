"""What can be refused of who wants to read events.

EventsError
└─ TooManyStreams  no more event streams can be held open
"""

from __future__ import annotations


class EventsError(Exception):
    """Base of the refusals. `str(error)` is a sentence for a person."""

    code: str


class TooManyStreams(EventsError):
    """Each open stream takes memory and a connection, so there is a bound."""

    code = "TOO_MANY_STREAMS"
    retry_after = 10
    """Seconds."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} event streams are open, and that is as many as are held. Close some, or "
            "raise STABLEQUEUE_MAX_STREAMS."
        )
