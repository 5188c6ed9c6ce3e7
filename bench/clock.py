"""Time: what a run may take altogether, and waiting within it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from bench.errors import BenchError

T = TypeVar("T")


class Clock:
    """Counts down the seconds of a run. Every wait of the benchmarks ends with it."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends = time.monotonic() + seconds

    def wait_until(self, condition: Callable[[], T], what: str, every: float = 0.02) -> T:
        """Return the first true answer of `condition`. Raises BenchError when time is up."""
        while not (answer := condition()):
            if time.monotonic() > self._ends:
                raise BenchError(f"No end after {self._seconds:.0f} s, while waiting for {what}.")
            time.sleep(every)
        return answer
