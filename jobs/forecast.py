"""When a job that waits will have its turn, and when it will be done. Reads only.

As things would go if nothing came or was moved: by urgency, class and priority, and among
equals one of each key in turns. How long each takes is learned (`servers.speed`), so a server
that has drawn nothing yet gives a place and no time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from jobs import phases
from jobs.models import Batch, Job, Slot
from servers.models import Server

EARLY, LATE = 0.75, 1.4
"""So many times the expected time are the ends of the interval that is told."""


@dataclass(frozen=True)
class Span:
    """A moment that is not known exactly, in seconds from now."""

    expected: float

    @property
    def earliest(self) -> datetime:
        return timezone.now() + timedelta(seconds=EARLY * self.expected)

    @property
    def latest(self) -> datetime:
        return timezone.now() + timedelta(seconds=LATE * self.expected)


@dataclass(frozen=True)
class Forecast:
    """What can be told of a job that has not ended; None for what cannot."""

    place: int | None = None
    start: Span | None = None
    end: Span | None = None


@dataclass(frozen=True)
class _Ahead:
    """What goes before a job."""

    count: int
    work: float
    checkpoints: frozenset[str]


def queue_position(job: Job) -> int:
    """The place of a pending job among those that wait for its server; the next one has 1."""
    return int(_asked(job, "SELECT count(*) FROM ahead")[0]) + 1


def of(job: Job) -> Forecast:
    """What can be told of a job now. Costs nothing for one that has ended."""
    if job.status == Job.Status.PROCESSING:
        slot: Slot | None = getattr(job, "slot", None)
        left = _left(slot, job, job.server) if slot is not None else 0.0
        return Forecast(end=None if left is None else Span(left))
    if job.status != Job.Status.PENDING:
        return Forecast()
    phase = phases.of(job)
    if phase is None or phase.word not in ("queued", "admitted"):
        # What it waits for ends when somebody or something says so.
        return Forecast(place=queue_position(job))
    if phase.word == "admitted":
        return Forecast(place=1, start=Span(0), end=_span(_alone(job)))
    ahead = _ahead(job)
    seconds = _until_its_turn(job, ahead)
    if seconds is None:
        return Forecast(place=ahead.count + 1)
    loaded = ahead.checkpoints or frozenset({_loaded(job.server)})
    own = _alone(job, is_loaded=job.checkpoint in loaded)
    end = None if own is None else Span(seconds + own)
    return Forecast(ahead.count + 1, Span(seconds), end)


def of_batch(batch: Batch) -> Span | None:
    """When the last of a batch's jobs will be done; None if that can't be told, or all are."""
    shown = Job.objects.with_everything_shown().filter(batch=batch)
    last_in_line = shown.pending().in_line().reverse()
    job = last_in_line.first() or shown.processing().order_by("created_at", "id").last()
    return None if job is None else of(job).end


def _ahead(job: Job) -> _Ahead:
    row = _asked(
        job, "SELECT count(*), coalesce(sum(work), 0), array_agg(DISTINCT checkpoint) FROM ahead"
    )
    count, work, checkpoints = row
    return _Ahead(int(count), float(work), frozenset(filter(None, checkpoints or ())))


def _until_its_turn(job: Job, ahead: _Ahead) -> float | None:
    """Seconds until the server has drawn what it draws, and what goes before the job."""
    server = job.server
    if not server.speed:
        return None
    slot = Slot.objects.filter(server=server).select_related("job").first()
    running = slot.job if slot else None
    left = _left(slot, running, server) if slot is not None and running is not None else 0.0
    loads = len(ahead.checkpoints - {_loaded(server, slot)})
    return (left or 0.0) + ahead.work / server.speed + loads * (server.load_seconds or 0.0)


def _left(slot: Slot, job: Job, server: Server) -> float | None:
    """Seconds until a job that is being drawn is done."""
    if slot.eta_seconds is not None:
        return slot.eta_seconds
    whole = _alone(job, server=server)
    return None if whole is None else whole * (1 - slot.progress)


def _alone(job: Job, *, is_loaded: bool = True, server: Server | None = None) -> float | None:
    """Seconds the job itself takes."""
    server = server or job.server
    if not server.speed:
        return None
    loading = 0.0 if is_loaded or not job.checkpoint else server.load_seconds or 0.0
    return job.work / server.speed + loading


def _loaded(server: Server, slot: Slot | None = None) -> str:
    slot = slot or Slot.objects.filter(server=server).first()
    return slot.loaded if slot is not None else ""


def _span(seconds: float | None) -> Span | None:
    return None if seconds is None else Span(seconds)


def _asked(job: Job, question: str) -> tuple[Any, ...]:
    values: dict[str, Any] = {
        "job": job.id,
        "server": job.server_id,
        "urgency": job.urgency,
        "background": job.is_background,
        "priority": job.priority,
        "owner": job.owner,
        "position": job.position,
    }
    # Said only where it counts, as an index cannot follow an OR.
    takes_turns = "AND owner = %(owner)s" if job.urgency == Job.Urgency.NONE else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{_AHEAD.replace('/* turns */', takes_turns)} {question}", values)
        return tuple(cursor.fetchone())


# Of each other key as many go first as of the job's own, itself included; the last of them
# only if it is older. Urgent jobs take no turns.
_AHEAD = """
    WITH RECURSIVE waiting AS NOT MATERIALIZED (
        SELECT id, owner, urgency, is_background, priority, position, work, checkpoint
          FROM jobs_job WHERE server_id = %(server)s AND status = 'pending'
    ),
    own AS NOT MATERIALIZED (
        SELECT work, checkpoint FROM waiting
         WHERE urgency = %(urgency)s AND is_background = %(background)s
           AND priority = %(priority)s /* turns */
           AND (position, id) < (%(position)s, %(job)s)
    ),
    turns AS MATERIALIZED (SELECT count(*) AS number FROM own),
    owners AS (
        (SELECT owner FROM waiting
          WHERE is_background = %(background)s AND priority = %(priority)s AND %(urgency)s = 0
          ORDER BY owner LIMIT 1)
        UNION ALL
        SELECT further.owner
          FROM owners
         CROSS JOIN LATERAL (
                SELECT owner FROM waiting
                 WHERE is_background = %(background)s AND priority = %(priority)s
                   AND owner > owners.owner
                 ORDER BY owner LIMIT 1
               ) AS further
    ),
    ahead AS NOT MATERIALIZED (
        SELECT work, checkpoint FROM waiting WHERE urgency > %(urgency)s
        UNION ALL
        SELECT work, checkpoint FROM waiting
         WHERE urgency = %(urgency)s AND is_background < %(background)s
        UNION ALL
        SELECT work, checkpoint FROM waiting
         WHERE urgency = %(urgency)s AND is_background = %(background)s
           AND priority > %(priority)s
        UNION ALL
        SELECT work, checkpoint FROM own
        UNION ALL
        SELECT line.work, line.checkpoint
          FROM turns
         CROSS JOIN owners
         CROSS JOIN LATERAL (
                SELECT work, checkpoint, position,
                       row_number() OVER (ORDER BY position, id) AS number
                  FROM waiting
                 WHERE is_background = %(background)s AND priority = %(priority)s
                   AND waiting.owner = owners.owner AND urgency = 0
                 ORDER BY position, id
                 LIMIT turns.number + 1
               ) AS line
         WHERE owners.owner <> %(owner)s
           AND (line.number <= turns.number OR line.position < %(position)s)
    )
"""
