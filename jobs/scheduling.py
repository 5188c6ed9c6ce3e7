"""Which job runs next, on which server. Reads only; the dispatcher acts on the answer."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Q

from jobs.models import Job, Slot
from servers.models import Drain, Health, Server


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
# to answer it. One row per free slot, with nulls where nothing waits. A job that its Forge
# did not survive lets another one go first.
_HEADS = """
    SELECT head.id, head.attempt, slot.server_id, server.queue_name
      FROM jobs_slot AS slot
      JOIN servers_server AS server ON server.id = slot.server_id
      LEFT JOIN LATERAL (
            (SELECT 1 AS turn, job.id, job.attempt
               FROM jobs_job AS job
              WHERE job.server_id = slot.server_id
                AND job.status = 'pending'
                AND (job.not_before IS NULL OR job.not_before <= now())
                AND (slot.suspect IS NULL OR job.id <> slot.suspect)
              ORDER BY job.created_at, job.id
              LIMIT 1)
            UNION ALL
            (SELECT 2, job.id, job.attempt
               FROM jobs_job AS job
              WHERE job.id = slot.suspect
                AND job.server_id = slot.server_id
                AND job.status = 'pending'
                AND (job.not_before IS NULL OR job.not_before <= now()))
            ORDER BY turn
            LIMIT 1
           ) AS head ON true
     WHERE slot.state = 'free'
       AND server.retired_at IS NULL
       AND NOT server.is_paused
       AND server.held_until IS NULL
       AND server.health = ANY(%(able)s)
"""


def promised_in_vain() -> list[tuple[UUID, int]]:
    """Admitted jobs, with their attempts, whose server is to start no job any more."""
    stopped = Q(server__is_paused=True) | Q(server__retired_at__isnull=False)
    stopped |= Q(server__held_until__isnull=False)
    promised = Slot.objects.filter(stopped, state=Slot.State.ADMITTED, job__isnull=False)
    return [(slot.job_id, slot.attempt) for slot in promised if slot.job_id is not None]


def drained() -> list[int]:
    """Servers that somebody waits for to be idle, and that are."""
    idle = Q(slot=None) | Q(slot__state=Slot.State.FREE)
    return list(Server.objects.filter(idle, drain=Drain.DRAINING).values_list("id", flat=True))


def queue_position(job: Job) -> int:
    """The place of a pending job among those that wait for its server; the next one has 1."""
    at = job.created_at
    before = Q(created_at__lt=at) | Q(created_at=at, id__lt=job.id)
    # The first condition says nothing new, but it is one that the index can follow.
    waiting = Job.objects.pending().filter(server=job.server_id, created_at__lte=at)
    return waiting.filter(before).count() + 1
