"""The lease of a GPU: taking a slot, beating while it is held, giving it back.

Every write names the lease (server, task_id, attempt). When it touches no row, the lease
was given to somebody else, and the caller must stop without writing anything more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from events import log
from jobs.models import Slot
from jobs.unsynced import unsynced


@dataclass(frozen=True)
class Lease:
    """What a worker holds while it uses a slot."""

    server_id: int
    task_id: str
    attempt: int


class LeaseLost(Exception):
    """The lease was given to somebody else, or can no longer be taken for granted."""


def _held(lease: Lease) -> QuerySet[Slot]:
    return Slot.objects.filter(
        server_id=lease.server_id, task_id=lease.task_id, attempt=lease.attempt
    )


def mark_sent(lease: Lease, *, checkpoint: str = "") -> bool:
    """Note that the request is about to leave. False if the job was cancelled before.

    `checkpoint` is the key of the one it has loaded; empty if it uses what is loaded.
    """
    loads = {"loaded": checkpoint} if checkpoint else {}
    return bool(
        _held(lease)
        .filter(state=Slot.State.CLAIMED)
        .update(state=Slot.State.SENT, sent_at=Now(), beat=F("beat") + 1, **loads)
    )


def beat(
    lease: Lease,
    *,
    phase: str = "",
    progress: float | None = None,
    eta_seconds: float | None = None,
) -> Slot.State | None:
    """Show that the lease is alive, store the progress, and learn the slot's state.

    A `progress` of None leaves the last known one. DRAINING means that the job was
    cancelled; None that the lease was lost.
    """
    alive = _held(lease)
    known: dict[str, Any] = {} if progress is None else {"progress": progress}
    with unsynced():
        alive.update(beat=F("beat") + 1, phase=phase, eta_seconds=eta_seconds, **known)
        state = alive.values_list("state", flat=True).first()
    return None if state is None else Slot.State(state)


def free(lease: Lease) -> bool:
    """Give the slot back and wake the dispatcher. False if the lease was lost."""
    with unsynced():
        if not _held(lease).exclude(state=Slot.State.FREE).update(**_FREE):
            return False
        log.announce("slot.freed", "server", str(lease.server_id))
    return True


def detach(job_ids: Collection[UUID]) -> None:
    """Take jobs out of their slots: at once if no worker had them yet, else the slot drains.

    A worker that holds the lease keeps it until Forge is idle; one that lost its
    connection, or its life, is replaced by a recovery.
    """
    held = Slot.objects.filter(job_id__in=job_ids)
    if held.filter(state=Slot.State.ADMITTED).update(**_FREE):
        # One word wakes the dispatcher, which looks at all slots.
        log.announce("slot.freed", "slot", "")
    held.update(state=Slot.State.DRAINING, job=None)


def withdraw(job_id: UUID, attempt: int) -> bool:
    """Free a slot that was promised to a job, whose row the caller has locked."""
    promised = Slot.objects.filter(job=job_id, attempt=attempt, state=Slot.State.ADMITTED)
    return bool(promised.update(**_FREE))


def suspect(server_id: int, job_id: UUID) -> None:
    """Let other jobs go first on that server, until one did."""
    Slot.objects.filter(server_id=server_id).update(suspect=job_id)


def reassign(lease: Lease, *, trouble: Mapping[str, str] | None = None) -> bool:
    """Take the slot from its worker and keep it for a recovery, under the next attempt.

    `trouble` is the code and sentence of what happened; without, what was noted before stays.
    """
    noted: dict[str, Any] = {"trouble": dict(trouble)} if trouble else {}
    return bool(
        _held(lease)
        .exclude(state=Slot.State.FREE)
        .update(attempt=lease.attempt + 1, worker="", phase="recovering", **noted)
    )


def use_for(lease: Lease, task_id: str) -> Lease:
    """Name the generation that a drained slot is used for next. Raises LeaseLost."""
    if not _held(lease).filter(state=Slot.State.DRAINING).update(task_id=task_id):
        raise LeaseLost
    return Lease(lease.server_id, task_id, lease.attempt)


def leave(lease: Lease) -> None:
    """Leave the slot, with its job if it has one, to a later recovery."""
    _held(lease).exclude(state=Slot.State.FREE).update(worker="")


def hand_over(lease: Lease) -> None:
    """Leave the slot without its job to a recovery: Forge may still be drawing."""
    _held(lease).exclude(state=Slot.State.FREE).update(
        state=Slot.State.DRAINING, job=None, worker=""
    )


def take_over(lease: Lease, *, worker: str) -> bool:
    """Begin a recovery of a slot whose worker is gone. False if another one has begun."""
    return bool(_held(lease).filter(worker="").update(worker=worker, beat=F("beat") + 1))


_FREE = {
    "state": Slot.State.FREE,
    "job": None,
    "task_id": "",
    "worker": "",
    "sent_at": None,
    "phase": "",
    "trouble": None,
    "progress": 0,
    "eta_seconds": None,
}
