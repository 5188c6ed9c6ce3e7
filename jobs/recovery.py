"""What becomes of a slot whose worker is gone: Forge is asked before anything else goes there.

A generation goes on in Forge when its client is gone, so the slot stays taken until
Forge says that it is done with our task.
"""

from __future__ import annotations

import logging
import time
from uuid import UUID

from django.conf import settings

from jobs import lifecycle, slots
from jobs.failpoints import Failpoint, reach
from jobs.insist import insist
from jobs.models import Slot
from jobs.slots import Lease
from servers import health
from servers.forge import ForgeClient, ForgeError

logger = logging.getLogger(__name__)

LOOKS_UNTIL_IDLE = 10
"""A Forge that draws nothing in so many looks in a row holds no task of ours, whatever it
says: between two of its jobs it is idle for an instant only."""


def recover(*, server_id: int, attempt: int, worker: str) -> None:
    """Wait until Forge is done with the slot's generation, settle its job, free the slot.

    A no-op if another worker has taken this recovery up.
    """
    slot = (
        Slot.objects.select_related("server")
        .filter(server_id=server_id, attempt=attempt)
        .exclude(state=Slot.State.FREE)
        .first()
    )
    if slot is None:
        return
    lease = Lease(server_id, slot.task_id, attempt)
    reach(Failpoint.BEFORE_RECOVER)
    if not slots.take_over(lease, worker=worker):
        return
    try:
        still_ours = _wait_until_done(slot.server.client(), lease)
    except ForgeError as error:
        trouble = error
        logger.info("recovery of %s: %s", lease.task_id, error)
        insist(lambda: health.note(slot.server, trouble))
        _charge(slot.job_id, attempt, f"Its worker was lost, and then: {error}")
        insist(lambda: slots.hand_over(lease))
        return
    if still_ours:
        _charge(slot.job_id, attempt, "The worker of this job stopped in the middle of it.")
        reach(Failpoint.AFTER_RECOVER)
        insist(lambda: slots.free(lease))


def _wait_until_done(client: ForgeClient, lease: Lease) -> bool:
    """Poll until Forge neither draws nor holds our task. False if the lease was lost.

    A cancelled job's generation is interrupted as soon as it is the one being drawn.
    Raises ForgeError when Forge doesn't answer, or not within settings.GENERATION_CAP.
    """
    deadline = time.monotonic() + settings.GENERATION_CAP
    idle_looks = 0
    while time.monotonic() < deadline:
        done = client.is_idle_of(lease.task_id)
        # A task whose init picture Forge could not read stays "queued" there for ever.
        idle_looks = 0 if client.activity().busy else idle_looks + 1
        state = slots.beat(lease, phase="recovering")
        if state is None:
            return False
        if done or idle_looks >= LOOKS_UNTIL_IDLE:
            return True
        if state == Slot.State.DRAINING:
            client.interrupt(lease.task_id)
        time.sleep(settings.WORKER_BEAT / 4)
    raise ForgeError(f"Forge was still busy after {settings.GENERATION_CAP:.0f} s.")


def _charge(job_id: UUID | None, attempt: int, message: str) -> None:
    if job_id is not None:
        insist(
            lambda: lifecycle.retry_later(
                job_id=job_id, attempt=attempt, code="WORKER_LOST", message=message
            )
        )
