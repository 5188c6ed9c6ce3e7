"""What the dispatcher does about workers that show no sign of life."""

from __future__ import annotations

import logging
from uuid import UUID

from django.db.models import Q, QuerySet

from jobs import lifecycle, slots
from jobs.leases import LeaseWatch
from jobs.models import Job, Slot
from jobs.slots import Lease
from servers.models import Health

logger = logging.getLogger(__name__)


class Rescuer:
    """Remembers the beats it has seen, and takes from dead workers what they held."""

    def __init__(self, *, dead_after: int) -> None:
        """`dead_after`: calls of `look` with the same beat until a lease counts as dead."""
        self._slots: LeaseWatch[Lease] = LeaseWatch(dead_after)
        self._saving: LeaseWatch[tuple[UUID, int]] = LeaseWatch(dead_after)

    def look(self) -> None:
        """Note all present beats and rescue what is dead by now. To be called once a tick."""
        held = {_lease(slot): slot for slot in _held_slots()}
        for lease in self._slots.look({lease: slot.beat for lease, slot in held.items()}):
            _rescue(lease, held[lease])
        # Their slot is free again; only the pictures are still being saved.
        saving = {(job.id, job.attempt): job for job in Job.objects.processing().filter(slot=None)}
        for name in self._saving.look({name: job.beat for name, job in saving.items()}):
            _give_up_saving(saving[name])


def waiting_for_a_worker() -> list[Slot]:
    """Slots whose message no worker has taken up.

    A slot of a server that doesn't answer waits for its return: until then nobody can
    learn what became of the generation.
    """
    return list(
        Slot.objects.exclude(state=Slot.State.FREE)
        .filter(worker="")
        .exclude(
            ~Q(server__health__in=[Health.ONLINE, Health.UNKNOWN]),
            state=Slot.State.DRAINING,
        )
        .select_related("server")
    )


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


def _give_up_saving(job: Job) -> None:
    lifecycle.retry_later(
        job_id=job.id,
        attempt=job.attempt,
        code="WORKER_LOST",
        message="The worker of this job stopped while it saved the pictures.",
    )
