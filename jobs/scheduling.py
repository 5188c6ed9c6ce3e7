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
    queue_name: str


def next_choices() -> list[Choice]:
    """For each server that can work and has its slot free, the job that waits longest."""
    oldest = (
        Job.objects.pending()
        .due()
        .filter(server=OuterRef("server"))
        .order_by("created_at", "id")
        .values("id")[:1]
    )
    rows = (
        Slot.objects.filter(
            state=Slot.State.FREE,
            server__retired_at=None,
            server__is_paused=False,
            server__health__in=[Health.ONLINE, Health.UNKNOWN],
        )
        .annotate(next_job=Subquery(oldest))
        .exclude(next_job=None)
        .values_list("next_job", "server_id", "server__queue_name")
    )
    return [Choice(job_id, server_id, queue) for job_id, server_id, queue in rows]


def queue_position(job: Job) -> int:
    """The place of a pending job among those that wait for its server; the next one has 1."""
    at = job.created_at
    before = Q(created_at__lt=at) | Q(created_at=at, id__lt=job.id)
    # The first condition says nothing new, but it is one that the index can follow.
    waiting = Job.objects.pending().filter(server=job.server_id, created_at__lte=at)
    return waiting.filter(before).count() + 1
