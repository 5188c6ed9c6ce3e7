"""Which job runs next, on which server. Reads only; the dispatcher acts on the answer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import OuterRef, Q, Subquery

from jobs.models import Job, Slot
from servers.models import Health


@dataclass(frozen=True)
class Choice:
    """A job whose turn it is, and the server that has a free slot for it."""

    job_id: UUID
    server_id: int


@dataclass(frozen=True)
class Turn:
    """What can be admitted now, and whether a free slot is left that nothing waits for."""

    choices: list[Choice]
    has_idle_slot: bool


def next_turn() -> Turn:
    """For each server that can work and has its slot free, the job that waits longest."""
    oldest = (
        Job.objects.pending()
        .due()
        .filter(server=OuterRef("server"))
        .order_by("created_at", "id")
        .values("id")[:1]
    )
    slots = (
        Slot.objects.filter(
            state=Slot.State.FREE,
            server__retired_at=None,
            server__is_paused=False,
            server__health__in=[Health.ONLINE, Health.UNKNOWN],
        )
        .annotate(next_job=Subquery(oldest))
        .values_list("next_job", "server_id")
    )
    found = [(job_id, server_id) for job_id, server_id in slots]
    return Turn(
        choices=[Choice(job_id, server_id) for job_id, server_id in found if job_id],
        has_idle_slot=any(job_id is None for job_id, _ in found),
    )


def queue_position(job: Job) -> int:
    """The place of a pending job among those that wait for its server; the next one has 1."""
    at = job.created_at
    before = Q(created_at__lt=at) | Q(created_at=at, id__lt=job.id)
    # The first condition says nothing new, but it is one that the index can follow.
    waiting = Job.objects.pending().filter(server=job.server_id, created_at__lte=at)
    return waiting.filter(before).count() + 1
