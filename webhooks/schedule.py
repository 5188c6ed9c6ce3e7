"""When a delivery that failed is tried again."""

from __future__ import annotations

import random

_MINUTE, _HOUR = 60, 3600
WAITS = (
    *(5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR),
    *(10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR),
)
"""Seconds before each further attempt."""
MOST = 24 * _HOUR
"""Seconds a receiver may ask to wait."""
JITTER = 0.1


def wait(attempts: int, *, asked: float = 0) -> float | None:
    """Seconds until the next attempt after so many; None if there is none.

    `asked` is what the receiver asks for. Receivers that failed together are not asked
    together again.
    """
    if attempts > len(WAITS):
        return None
    return max(WAITS[attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER), min(asked, MOST))
