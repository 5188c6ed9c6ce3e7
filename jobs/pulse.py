"""Showing that work on a job goes on, and learning whether the job is still ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from jobs import lifecycle, slots
from jobs.leaving import departure
from jobs.models import Job, Slot
from jobs.slots import Lease, LeaseLost

Found = TypeVar("Found")


class Pulse:
    """Beats a lease, through a database that is away for a while.

    A worker that cannot reach the database cannot know whether the job is still its own. It
    follows what it began, since whatever it writes later is guarded by its lease. But after
    settings.FENCE_AFTER, well before anybody takes its lease for dead, it is fenced off: it
    begins nothing at Forge.
    """

    def __init__(self, lease: Lease, state: Slot.State = Slot.State.SENT) -> None:
        self.lease = lease
        self._state = state
        self._confirmed_at = _now()

    def beat(
        self,
        *,
        phase: str,
        progress: float | None = None,
        eta_seconds: float | None = None,
    ) -> Slot.State:
        """Beat once; returns the slot's state as last known. Raises LeaseLost and Leaving."""
        departure.require_time(eta_seconds)
        asked_at = _now()
        try:
            state = slots.beat(self.lease, phase=phase, progress=progress, eta_seconds=eta_seconds)
        except (OperationalError, InterfaceError):
            connection.close()
            return self._state
        if state is None or state == Slot.State.FREE:
            raise LeaseLost
        self._state, self._confirmed_at = state, asked_at
        return state

    def require_fresh(self) -> None:
        """Raise LeaseLost unless the lease was known to be ours a moment ago."""
        if _now() - self._confirmed_at > settings.FENCE_AFTER:
            raise LeaseLost


def beat_saving(job: Job) -> None:
    """Show that the drawn job is being worked on, its slot being free. Raises LeaseLost."""
    try:
        alive = lifecycle.keep_saving(job_id=job.id, attempt=job.attempt)
    except (OperationalError, InterfaceError):
        connection.close()
        return
    if not alive:
        raise LeaseLost


def while_beating(work: Callable[[], Found], beat: Callable[[], object]) -> Found:
    """Do `work`, which must not use the database, and call `beat` every settings.WORKER_BEAT.

    What `beat` raises ends the wait; nobody heeds then what `work` still does.
    """
    threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="work")
    try:
        future = threads.submit(work)
        while not wait((future,), timeout=settings.WORKER_BEAT).done:
            beat()
        return future.result()
    finally:
        threads.shutdown(wait=False)


def _now() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
