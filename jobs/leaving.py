"""What is left of a worker's time once it was told to stop.

Celery takes no more messages then, and waits for the tasks it has begun. Whoever stops us
waits for a while too, and then kills. So what ends within that while may end; a generation
that will not is left to a recovery, in time: Forge goes on with it, and whichever worker is
there next collects the pictures.
"""

from __future__ import annotations

import time
from typing import Any

from celery.signals import worker_shutting_down
from django.conf import settings


class Leaving(Exception):
    """This worker has to go, and what it follows would take too long."""


class Departure:
    """Whether this process was told to stop, and what that leaves time for."""

    def __init__(self) -> None:
        self._leave_at: float | None = None

    def begin(self) -> None:
        """Be told to stop; callable from a signal handler, and again."""
        if self._leave_at is None:
            self._leave_at = time.monotonic() + settings.LEAVE_WITHIN

    @property
    def has_begun(self) -> bool:
        """Whether nothing more may be taken up."""
        return self._leave_at is not None

    def require_time(self, eta_seconds: float | None = None) -> None:
        """Raise Leaving if there is no time to wait any longer.

        `eta_seconds` is what Forge guesses is left to draw. A guess may be wrong: only one of
        more than twice the time that is left ends the wait before that.
        """
        if self._leave_at is None:
            return
        left = self._leave_at - time.monotonic()
        if left <= 0 or (eta_seconds or 0) > 2 * left:
            raise Leaving


departure = Departure()
"""This process's own."""


@worker_shutting_down.connect
def _told_to_stop(**_: Any) -> None:
    departure.begin()
