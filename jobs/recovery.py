"""What becomes of a generation whose worker, or whose answer, is gone.

A generation goes on in Forge when its client is gone, so the slot stays taken until Forge
says that it is done with our task. The pictures are then fetched from the copies it kept;
only if there are none is the attempt charged, and drawn again.
"""

from __future__ import annotations

import logging
import time
from uuid import UUID

from django.conf import settings

from jobs import collection, images, lifecycle, preparation, settlement, slots
from jobs.failpoints import Failpoint, reach
from jobs.insist import insist
from jobs.leaving import Leaving, departure
from jobs.models import Job, Slot
from jobs.outcomes import Charged, Outcome
from jobs.preparation import Plan
from jobs.pulse import Pulse, beat_saving, while_beating
from jobs.slots import Lease, LeaseLost
from models_catalog import names
from servers import health
from servers.forge import ForgeError, Generation
from servers.forge_ways import Forge

logger = logging.getLogger(__name__)

LOOKS_UNTIL_DONE = 2
LOOKS_UNTIL_IDLE = 10
"""A Forge that draws nothing in so many looks in a row holds no task of ours, whatever it
says: between two of its jobs it is idle for an instant only."""

Found = tuple[Plan, Generation]


class _StillBusy(ForgeError):
    """Forge is at our task for longer than any generation may take."""


def recover(*, server_id: int, attempt: int, worker: str) -> None:
    """Wait until Forge is done with the slot's generation, settle its job, free the slot.

    A no-op if another worker has taken this recovery up.
    """
    slot = (
        Slot.objects.select_related("server", "job__server")
        .filter(server_id=server_id, attempt=attempt)
        .exclude(state=Slot.State.FREE)
        .first()
    )
    if slot is None or departure.has_begun:
        return
    lease = Lease(server_id, slot.task_id, attempt)
    reach(Failpoint.BEFORE_RECOVER)
    if not slots.take_over(lease, worker=worker):
        return
    try:
        found = _find(slot, Pulse(lease, Slot.State(slot.state)))
    except LeaseLost:
        return
    except Leaving:
        insist(lambda: slots.leave(lease))
        return
    except ForgeError as error:
        _leave_for_later(slot, lease, error)
        return
    if slot.job is not None and found is None:
        _settle(slot.job, _charge(slot))
    reach(Failpoint.AFTER_RECOVER)
    insist(lambda: slots.free(lease))
    if slot.job is not None and found is not None:
        _keep(slot.job, found, _reason(slot))


def collect(*, job_id: UUID, attempt: int) -> None:
    """Finish a job that was drawn, but whose worker died before the pictures were attached.

    A no-op if the job ended or somebody else does it.
    """
    if departure.has_begun:
        return
    job = lifecycle.rescue_saving(job_id=job_id, attempt=attempt)
    if job is None:
        return
    reason = "The worker of this job stopped while it saved the pictures."
    try:
        client = job.server.client()
        found = while_beating(lambda: _copies(client, job), lambda: beat_saving(job))
    except LeaseLost:
        return
    except ForgeError as error:
        trouble = error
        insist(lambda: health.note(job.server, trouble))
        if job.server.retired_at is None:
            # Nobody beats for it now, so it is taken up again once its server is back.
            return
        found = None
    if found is None:
        _settle(job, Charged("WORKER_LOST", reason))
    else:
        _keep(job, found, reason)


def _find(slot: Slot, pulse: Pulse) -> Found | None:
    """The pictures of the slot's job, once Forge is done. Raises LeaseLost and ForgeError."""
    client = slot.server.client()
    _wait_until_done(client, pulse)
    job = slot.job
    if job is None:
        return None
    return while_beating(lambda: _copies(client, job), lambda: pulse.beat(phase="recovering"))


def _wait_until_done(client: Forge, pulse: Pulse) -> None:
    """Poll until Forge neither draws nor holds our task.

    A cancelled job's generation is interrupted as soon as it is the one being drawn. Raises
    LeaseLost, and ForgeError when Forge doesn't answer, or not within settings.GENERATION_CAP.
    """
    task_id = pulse.lease.task_id
    deadline = time.monotonic() + settings.GENERATION_CAP
    done_looks = idle_looks = 0
    while time.monotonic() < deadline:
        done, busy = while_beating(
            lambda: (client.is_idle_of(task_id), client.is_busy()),
            lambda: pulse.beat(phase="recovering"),
        )
        done_looks = done_looks + 1 if done else 0
        # A task whose init picture Forge could not read stays "queued" there for ever.
        idle_looks = 0 if busy else idle_looks + 1
        state = pulse.beat(phase="recovering")
        if done_looks >= LOOKS_UNTIL_DONE or idle_looks >= LOOKS_UNTIL_IDLE:
            return
        if state == Slot.State.DRAINING:
            client.interrupt(task_id)
        time.sleep(settings.WORKER_BEAT / 4)
    raise _StillBusy(f"Forge was still busy after {settings.GENERATION_CAP:.0f} s.")


def _copies(client: Forge, job: Job) -> Found | None:
    """The job's pictures from the copies Forge kept, with what they have to be judged by.

    Raises ForgeError when Forge is away.
    """
    kept = collection.collect(client, job)
    if kept is None:
        return None
    try:
        return preparation.plan(client, job), kept
    except (names.NameRejected, names.CheckpointNotFound, names.CheckpointAmbiguous) as error:
        logger.info("job %s: its copies cannot be judged: %s", str(job.id)[:8], error)
        return None


def _leave_for_later(slot: Slot, lease: Lease, error: ForgeError) -> None:
    """Keep the slot until its Forge can be asked, and the job with it if that will come."""
    logger.info("recovery of %s: %s", lease.task_id, error)
    insist(lambda: health.note(slot.server, error))
    gives_up = isinstance(error, _StillBusy) or slot.server.retired_at is not None
    if slot.job is not None and gives_up:
        _settle(slot.job, _charge(slot))
    insist(lambda: slots.leave(lease))


def _keep(job: Job, found: Found, reason: str) -> None:
    """Attach the fetched pictures as a normal answer's, and say how they were come by."""
    reach(Failpoint.AFTER_COLLECT)
    plan, generation = found
    plan = plan.warning(f"{reason} The pictures were fetched from the copies Forge keeps.")
    _settle(job, settlement.keep(job, plan, generation))
    images.discard_staging(job_id=job.id, attempt=job.attempt)


def _settle(job: Job, outcome: Outcome) -> None:
    insist(lambda: settlement.settle(job, outcome))


def _charge(slot: Slot) -> Charged:
    trouble = slot.trouble or {}
    return Charged(trouble.get("code", "WORKER_LOST"), _reason(slot))


def _reason(slot: Slot) -> str:
    trouble = slot.trouble or {}
    return str(trouble.get("message", "The worker of this job stopped in the middle of it."))
