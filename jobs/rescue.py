"""What the dispatcher does about workers that show no sign of life."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db.models import QuerySet

from jobs import lifecycle, slots
from jobs.leases import LeaseWatch
from jobs.models import Job, Slot
from jobs.slots import Lease
from servers.models import Health, Server

logger = logging.getLogger(__name__)


class Rescuer:
    """Remembers the beats it has seen, and takes from dead workers what they held."""

    def __init__(self, *, dead_after: int) -> None:
        """`dead_after`: calls of `look` with the same beat until a lease counts as dead."""
        self._slots: LeaseWatch[Lease] = LeaseWatch(dead_after)
        self._saving: LeaseWatch[tuple[UUID, int]] = LeaseWatch(dead_after)

    def look(self) -> list[Job]:
        """Note all present beats and rescue what is dead by now. To be called once a tick.

        Returns the drawn jobs whose pictures nobody saves any more, and whose server can be
        asked for its copies.
        """
        held = {_lease(slot): slot for slot in _held_slots()}
        for lease in self._slots.look({lease: slot.beat for lease, slot in held.items()}):
            _rescue(lease, held[lease])
        # Their slot is free again; only the pictures are still being saved.
        drawn = Job.objects.processing().filter(slot=None).select_related("server")
        saving = {(job.id, job.attempt): job for job in drawn}
        dead = self._saving.look({name: job.beat for name, job in saving.items()})
        return [
            job for job in map(saving.__getitem__, dead) if _can_be_asked(job.server, job=job.id)
        ]


def waiting_for_a_worker() -> list[Slot]:
    """Slots whose message no worker has taken up.

    One that waits for a recovery waits for the return of its server too: until then nobody
    can learn what became of the generation.
    """
    waiting = Slot.objects.exclude(state=Slot.State.FREE).filter(worker="")
    return [
        slot
        for slot in waiting.select_related("server")
        if slot.state == Slot.State.ADMITTED or _can_be_asked(slot.server, job=slot.job_id)
    ]


def _can_be_asked(server: Server, job: UUID | None = None) -> bool:
    """Whether a recovery there can get on.

    A removed server may never come back, so a job that hopes for it is given up.
    """
    given_up = job is not None and server.retired_at is not None
    return given_up or server.health in (Health.ONLINE, Health.UNKNOWN)


def _held_slots() -> QuerySet[Slot]:
    return Slot.objects.exclude(state=Slot.State.FREE).exclude(worker="")


def _lease(slot: Slot) -> Lease:
    return Lease(slot.server_id, slot.task_id, slot.attempt)


def _rescue(lease: Lease, slot: Slot) -> None:
    logger.warning("worker %s shows no sign of life at %s", slot.worker, slot)
    if slot.job_id is None:
        slots.reassign(lease)
    elif slot.state == Slot.State.CLAIMED:
        # Nothing was sent, so nothing was lost: the attempt is not charged.
        lifecycle.release(
            job_id=slot.job_id,
            attempt=slot.attempt,
            code="WORKER_LOST",
            message="The worker of this job stopped before anything was sent.",
        )
        slots.free(lease)
    elif not lifecycle.rescue(job_id=slot.job_id, lease=lease):
        # Its job ended, but that the slot was given back is lost with a crash of Postgres.
        slots.hand_over(lease)
