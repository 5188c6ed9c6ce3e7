"""Which job runs next, on which server. Reads only; the dispatcher acts on the answer.

The database tells of each server that has its slot free the few jobs that may be next; which
of them it is, `jobs.policy` says.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection
from django.db.models import Q

from jobs import policy
from jobs.models import Job, Queue, Slot
from jobs.policy import Bound, Head, Skip, Standing
from servers.models import Drain, Health, Server


@dataclass(frozen=True)
class Choice:
    """A job whose turn it is, and the server that has a free slot for it.

    `standings` are those that change with it, by the owner of each.
    """

    job_id: UUID
    last_attempt: int
    server_id: int
    queue_name: str
    standings: Mapping[UUID, Standing] = field(default_factory=dict)


@dataclass(frozen=True)
class Turn:
    """What can be admitted now, and whether a free slot is left that nothing waits for."""

    choices: list[Choice]
    has_idle_slot: bool


def next_turn() -> Turn:
    """For each server that can work and has its slot free, the job whose turn it is."""
    choices = []
    has_idle_slot = False
    for _, of_server in itertools.groupby(_rows(), key=lambda row: row.server_id):
        choice = _choice(list(of_server))
        has_idle_slot = has_idle_slot or choice is None
        choices += [choice] if choice else []
    return Turn(choices, has_idle_slot)


def be_quick() -> None:
    """Have the database plan the choice once for this connection, and by its indexes.

    To plan it takes longer than to make it. A plan made while the queue is empty would read
    whole tables, and be kept when it is long.
    """
    connection.ensure_connection()
    connection.connection.prepare_threshold = 0
    with connection.cursor() as cursor:
        cursor.execute("SET plan_cache_mode TO force_generic_plan")
        cursor.execute("SET enable_seqscan TO off")
        cursor.execute("SET jit TO off")


def _rows() -> list[_Row]:
    connection.ensure_connection()
    able = {"able": [Health.ONLINE.value, Health.UNKNOWN.value]}
    # Django's own cursor writes the values into the text, which can't be prepared then.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(_HEADS.encode(), able, prepare=True)
        return [_Row(*row) for row in cursor.fetchall()]


@dataclass(frozen=True)
class _Row:
    """A free slot with one job that may be next there, or with none."""

    server_id: int
    queue_name: str
    loaded: str
    now: float
    kind: int | None
    job_id: UUID
    attempt: int
    owner: UUID
    is_background: bool
    priority: int
    position: float
    checkpoint: str
    submitted_at: float
    passed: int | None
    since: float | None
    skips: str | None

    @property
    def head(self) -> Head:
        rank = (self.is_background, self.priority)
        return Head(
            self.job_id, self.owner, rank, self.position, self.checkpoint, self.submitted_at
        )

    @property
    def standing(self) -> Standing:
        skips = [
            Skip((background, priority), position, at)
            for background, priority, position, at in json.loads(self.skips or "[]")
        ]
        return Standing(self.passed or 0, self.since, tuple(skips))

    def choice(self, standings: Mapping[UUID, Standing]) -> Choice:
        return Choice(self.job_id, self.attempt, self.server_id, self.queue_name, standings)


# The kinds of rows, in the order in which they count.
_URGENT, _IN_LINE, _SUSPECT = range(3)


def _choice(rows: Sequence[_Row]) -> Choice | None:
    """Whose turn it is on one server."""
    by_kind = {kind: [row for row in rows if row.kind == kind] for kind in range(3)}
    if urgent := by_kind[_URGENT]:
        return urgent[0].choice({})
    in_line = {row.job_id: row for row in by_kind[_IN_LINE]}
    decision = policy.choose(
        [row.head for row in in_line.values()],
        loaded=rows[0].loaded,
        standings={row.owner: row.standing for row in in_line.values()},
        bound=bound(),
        now=rows[0].now,
    )
    if decision is not None:
        return in_line[decision.head.job_id].choice(decision.standings)
    return by_kind[_SUSPECT][0].choice({}) if by_kind[_SUSPECT] else None


def bound() -> Bound:
    """How far anybody may be overtaken."""
    return Bound(settings.OVERTAKE_JOBS, settings.OVERTAKE_SECONDS)


_COLUMNS = (
    "job.id, job.attempt, job.owner, job.is_background, job.priority, job.position,"
    " job.checkpoint, date_part('epoch', job.created_at) AS submitted_at"
)
_DUE = """
    job.server_id = ready.server_id AND job.status = 'pending'
    AND (job.not_before IS NULL OR job.not_before <= now())
    AND (ready.suspect IS NULL OR job.id <> ready.suspect)
"""
_OF_RANK = f"{_DUE} AND job.is_background = ready.is_background AND job.priority = ready.priority"

# Written out, since it runs at every change: Django takes longer to compose it than Postgres
# to answer it. At least one row per free slot, with nulls where nothing waits. Each part finds
# one job by one index: the highest rank that waits, the keys in it one after the other, and of
# each key its first job, its first for the loaded checkpoint and its first for any. A job that
# its Forge did not survive (the suspect) lets all others go first.
_HEADS = f"""
    WITH RECURSIVE ready AS MATERIALIZED (
        SELECT slot.server_id, server.queue_name, slot.loaded, slot.suspect,
               line.is_background, line.priority, paused.is_paused
          FROM jobs_slot AS slot
          JOIN servers_server AS server ON server.id = slot.server_id
         CROSS JOIN LATERAL (
                SELECT server.is_paused OR server.quiet_until IS NOT NULL
                       OR EXISTS (SELECT 1 FROM jobs_queue WHERE is_paused) AS is_paused
               ) AS paused
          LEFT JOIN LATERAL (
                SELECT job.is_background, job.priority
                  FROM jobs_job AS job, (SELECT slot.server_id, slot.suspect) AS ready
                 WHERE {_DUE} AND NOT paused.is_paused
                 ORDER BY job.is_background, job.priority DESC
                 LIMIT 1
               ) AS line ON true
         WHERE slot.state = 'free'
           AND server.retired_at IS NULL
           AND server.held_until IS NULL
           AND server.health = ANY(%(able)s)
    ),
    owners AS (
        SELECT ready.server_id, first.owner
          FROM ready
         CROSS JOIN LATERAL (
                SELECT job.owner FROM jobs_job AS job WHERE {_OF_RANK}
                 ORDER BY job.owner LIMIT 1
               ) AS first
        UNION ALL
        SELECT ready.server_id, further.owner
          FROM owners
          JOIN ready ON ready.server_id = owners.server_id
         CROSS JOIN LATERAL (
                SELECT job.owner FROM jobs_job AS job
                 WHERE {_OF_RANK} AND job.owner > owners.owner
                 ORDER BY job.owner LIMIT 1
               ) AS further
    ),
    heads AS (
        SELECT ready.server_id, {_URGENT} AS kind, first.*
          FROM ready
         CROSS JOIN LATERAL (
                SELECT {_COLUMNS} FROM jobs_job AS job
                 WHERE {_DUE} AND job.urgency > 0
                   AND job.urgency >= CASE WHEN ready.is_paused THEN 2 ELSE 1 END
                 ORDER BY job.urgency DESC, job.position, job.id LIMIT 1
               ) AS first
        UNION ALL
        SELECT ready.server_id, {_IN_LINE}, first.*
          FROM ready
          JOIN owners ON owners.server_id = ready.server_id
         CROSS JOIN LATERAL (
                (SELECT {_COLUMNS} FROM jobs_job AS job
                  WHERE {_OF_RANK} AND job.owner = owners.owner
                  ORDER BY job.position, job.id LIMIT 1)
                UNION ALL
                (SELECT {_COLUMNS} FROM jobs_job AS job
                  WHERE {_OF_RANK} AND job.owner = owners.owner AND job.checkpoint = ready.loaded
                  ORDER BY job.position, job.id LIMIT 1)
                UNION ALL
                (SELECT {_COLUMNS} FROM jobs_job AS job
                  WHERE {_OF_RANK} AND job.owner = owners.owner AND job.checkpoint = ''
                    AND ready.loaded <> ''
                  ORDER BY job.position, job.id LIMIT 1)
               ) AS first
        UNION ALL
        SELECT ready.server_id, {_SUSPECT}, {_COLUMNS}
          FROM ready
          JOIN jobs_job AS job ON job.id = ready.suspect
         WHERE job.server_id = ready.server_id AND job.status = 'pending'
           AND (job.not_before IS NULL OR job.not_before <= now())
           AND (NOT ready.is_paused OR job.urgency = 2)
    )
    SELECT ready.server_id, ready.queue_name, ready.loaded, date_part('epoch', now()),
           heads.kind, heads.id, heads.attempt, heads.owner, heads.is_background,
           heads.priority, heads.position, heads.checkpoint, heads.submitted_at,
           standing.passed, standing.passed_since, standing.skips
      FROM ready
      LEFT JOIN heads ON heads.server_id = ready.server_id
      LEFT JOIN jobs_standing AS standing
        ON standing.server_id = ready.server_id AND standing.owner = heads.owner
     ORDER BY ready.server_id, heads.kind
"""  # noqa: S608


def keep_standings(server_id: int, standings: Mapping[UUID, Standing]) -> None:
    """Keep what changed with an admission, in its transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, {"server": server_id, "told": json.dumps(_told(standings))})


def _told(standings: Mapping[UUID, Standing]) -> Iterable[Any]:
    return [
        {
            "owner": str(owner),
            "passed": standing.passed,
            "since": standing.since,
            "skips": [[*skip.rank, skip.position, skip.at] for skip in standing.skips],
        }
        for owner, standing in standings.items()
    ]


_KEEP = """
    INSERT INTO jobs_standing (server_id, owner, passed, passed_since, skips)
    SELECT %(server)s, told.owner, told.passed, told.since, told.skips
      FROM jsonb_to_recordset(%(told)s)
        AS told (owner uuid, passed integer, since float8, skips jsonb)
    ON CONFLICT (server_id, owner) DO UPDATE
       SET passed = excluded.passed, passed_since = excluded.passed_since,
           skips = excluded.skips
"""


def promised_in_vain() -> list[tuple[UUID, int]]:
    """Admitted jobs, with their attempts, whose server is to start no job any more."""
    stopped = Q(server__retired_at__isnull=False) | Q(server__held_until__isnull=False)
    paused = Q(server__is_paused=True) | Q(server__quiet_until__isnull=False)
    if Queue.objects.filter(is_paused=True).exists():
        paused = Q()
    stopped |= paused & ~Q(job__urgency=Job.Urgency.NOW)
    promised = Slot.objects.filter(stopped, state=Slot.State.ADMITTED, job__isnull=False)
    return [(slot.job_id, slot.attempt) for slot in promised if slot.job_id is not None]


def drained() -> list[int]:
    """Servers that somebody waits for to be idle, and that are."""
    idle = Q(slot=None) | Q(slot__state=Slot.State.FREE)
    return list(Server.objects.filter(idle, drain=Drain.DRAINING).values_list("id", flat=True))
