"""What the dispatcher does about workers that show no sign of life."""

from __future__ import annotations

import logging
from collections.abc import Hashable

from django.db.models import Q

from jobs import lifecycle, slots
from jobs.leases import LeaseWatch
from jobs.models import Job, Slot
from jobs.slots import Lease
from servers.models import Server

logger = logging.getLogger(__name__)


def dead_leases(watch: LeaseWatch) -> None:
    """Take every lease that has died from its worker. To be called once a tick."""
    held = {_lease(slot): slot for slot in Slot.objects.exclude(state="free").exclude(worker="")}
    saving = {(job.id, job.attempt): job for job in Job.objects.processing().filter(slot=None)}
    beats: dict[Hashable, int] = {lease: slot.beat for lease, slot in held.items()}
    beats |= {name: job.beat for name, job in saving.items()}
    for dead in watch.look(beats):
        if isinstance(dead, Lease):
            _rescue(dead, held[dead])
        else:
            _give_up_saving(saving[dead])


def waiting_for_a_worker() -> list[Slot]:
    """Slots whose message no worker has taken up.

    A slot of a server that doesn't answer waits for its return: until then nobody can
    learn what became of the generation.
    """
    return list(
        Slot.objects.exclude(state=Slot.State.FREE)
        .filter(worker="")
        .exclude(
            ~Q(server__health__in=[Server.Health.ONLINE, Server.Health.UNKNOWN]),
            state=Slot.State.DRAINING,
        )
        .select_related("server")
    )


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
    else:
        lifecycle.rescue(job_id=slot.job_id, lease=lease)


def _give_up_saving(job: Job) -> None:
    lifecycle.retry_later(
        job_id=job.id,
        attempt=job.attempt,
        code="WORKER_LOST",
        message="The worker of this job stopped while it saved the pictures.",
    )
