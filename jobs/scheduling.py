"""Which job runs next, on which server. Reads only; the dispatcher acts on the answer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Q

from jobs.models import Job
from servers.models import Health


@dataclass(frozen=True)
class Choice:
    """A job whose turn it is, and the server that has a free slot for it."""

    job_id: UUID
    last_attempt: int
    server_id: int
    queue_name: str


@dataclass(frozen=True)
class Turn:
    """What can be admitted now, and whether a free slot is left that nothing waits for."""

    choices: list[Choice]
    has_idle_slot: bool


def next_turn() -> Turn:
    """For each server that can work and has its slot free, the job that waits longest."""
    with connection.cursor() as cursor:
        cursor.execute(_HEADS, {"able": [Health.ONLINE.value, Health.UNKNOWN.value]})
        rows = cursor.fetchall()
    return Turn(
        choices=[Choice(*row) for row in rows if row[0] is not None],
        has_idle_slot=any(row[0] is None for row in rows),
    )


# Written out, since it runs at every change: Django takes longer to compose it than Postgres
# to answer it. One row per free slot, with nulls where nothing waits.
_HEADS = """
    SELECT head.id, head.attempt, slot.server_id, server.queue_name
      FROM jobs_slot AS slot
      JOIN servers_server AS server ON server.id = slot.server_id
      LEFT JOIN LATERAL (
            SELECT job.id, job.attempt
              FROM jobs_job AS job
             WHERE job.server_id = slot.server_id
               AND job.status = 'pending'
               AND (job.not_before IS NULL OR job.not_before <= now())
             ORDER BY job.created_at, job.id
             LIMIT 1
           ) AS head ON true
     WHERE slot.state = 'free'
       AND server.retired_at IS NULL
       AND NOT server.is_paused
       AND server.health = ANY(%(able)s)
"""


def queue_position(job: Job) -> int:
    """The place of a pending job among those that wait for its server; the next one has 1."""
    at = job.created_at
    before = Q(created_at__lt=at) | Q(created_at=at, id__lt=job.id)
    # The first condition says nothing new, but it is one that the index can follow.
    waiting = Job.objects.pending().filter(server=job.server_id, created_at__lte=at)
    return waiting.filter(before).count() + 1
