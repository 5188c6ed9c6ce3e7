"""How long a failed job waits before its next try, and how many tries it gets."""

from __future__ import annotations

import random

MAX_RETRIES = 3
"""A job that failed this often and fails again is failed for good."""

FIRST_WAIT = 5.0
LONGEST_WAIT = 300.0


def retry_wait(retry_count: int) -> float:
    """Seconds before retry number `retry_count` (from 1): doubling, half of it jitter.

    The jitter keeps jobs that failed together from coming back together.
    """
    longest = min(FIRST_WAIT * 2.0 ** (retry_count - 1), LONGEST_WAIT)
    return longest * random.uniform(0.5, 1)
