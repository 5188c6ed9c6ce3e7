"""The verbs that change the order in which jobs wait: move, prioritise, run now.

They concern jobs that wait, and leave their status alone. Where a job stands is a number,
`position`, between those of its neighbours.
"""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import FloatField, Func, Min, Q
from django.db.models.functions import Now

from events import log
from jobs.errors import JobNotFound, JobOperationInvalid, JobsApart
from jobs.models import Job, JobQuerySet

logger = logging.getLogger(__name__)

MOST_SPREAD = 2000
"""Jobs that get new positions to make room between two that have the same, or nearly so."""


def move(
    *,
    job_id: UUID,
    to: str = "",
    before: UUID | None = None,
    after: UUID | None = None,
) -> Job:
    """Move a job `to` the "front" or the "back", or right before or after another one."""
    other = before or after
    if other is not None:
        return beside(job_id=job_id, other_id=other, before=before is not None)
    return to_front(job_id=job_id) if to == "front" else to_back(job_id=job_id)


def to_front(*, job_id: UUID) -> Job:
    """Let a job go before all others that wait for its server, whatever their priority.

    Raises JobNotFound, JobOperationInvalid.
    """
    with transaction.atomic():
        job = _waiting(job_id, "moved")
        urgent = Job.objects.pending().filter(server=job.server_id, urgency__gt=0)
        first = urgent.aggregate(first=Min("position"))["first"]
        position = job.position if first is None else min(job.position, first - 1)
        urgency = max(job.urgency, Job.Urgency.FRONT)
        _record(job, "job.moved", to="front", position=position, urgency=urgency)
    return _shown(job_id)


def to_back(*, job_id: UUID) -> Job:
    """Let a job go after all that wait now and have its priority. Raises as `to_front`."""
    with transaction.atomic():
        job = _waiting(job_id, "moved")
        _record(job, "job.moved", to="back", position=_SECONDS_NOW, urgency=Job.Urgency.NONE)
    return _shown(job_id)


def beside(*, job_id: UUID, other_id: UUID, before: bool) -> Job:
    """Put a job right before or after another one, whose priority and class it takes over.

    Raises JobNotFound and JobOperationInvalid for either, JobsApart when they do not wait for
    the same server.
    """
    with transaction.atomic():
        # By id, so that of two who move the same two none holds what the other waits for.
        for each in sorted({job_id, other_id}):
            _waiting(each, "moved")
        job, other = Job.objects.get(id=job_id), Job.objects.get(id=other_id)
        if job.server_id != other.server_id:
            raise JobsApart
        if job_id != other_id:
            position = _gap(job, other, before=before) or _spread(job, other, before=before)
            rank = {name: getattr(other, name) for name in _RANK}
            told = {"before" if before else "after": str(other_id)}
            _record(job, "job.moved", **told, position=position, **rank)
    return _shown(job_id)


def prioritise(
    *, job_id: UUID, priority: int | None = None, is_background: bool | None = None
) -> Job:
    """Give a job that waits another priority (1 to 10) or class. Raises as `to_front`."""
    given = {"priority": priority, "is_background": is_background}
    with transaction.atomic():
        job = _waiting(job_id, "given another priority")
        changed = {
            name: value
            for name, value in given.items()
            if value is not None and value != getattr(job, name)
        }
        if changed:
            _record(job, "job.prioritised", **changed)
    return _shown(job_id)


def run_now(*, job_id: UUID) -> Job:
    """Let a job go first, also while the queue or its server is paused. Raises as `to_front`."""
    with transaction.atomic():
        job = _waiting(job_id, "run now")
        _record(job, "job.hurried", urgency=Job.Urgency.NOW, not_before=None)
    return _shown(job_id)


_RANK = ("urgency", "is_background", "priority")
_SECONDS_NOW = Func(
    Func(Now(), function="clock_timestamp", template="clock_timestamp()"),
    function="date_part",
    template="date_part('epoch', %(expressions)s)",
    output_field=FloatField(),
)


def _waiting(job_id: UUID, verb: str) -> Job:
    job = Job.objects.select_for_update().filter(id=job_id).first()
    if job is None:
        raise JobNotFound(job_id)
    if job.status != Job.Status.PENDING:
        raise JobOperationInvalid(verb, job.status)
    return job


def _equals(other: Job) -> JobQuerySet:
    """Those that wait with it, with the same rank."""
    rank = {name: getattr(other, name) for name in _RANK}
    return Job.objects.pending().filter(server=other.server_id, **rank)


def _gap(job: Job, other: Job, *, before: bool) -> float | None:
    """A position between the other job and its neighbour; None if there is no room."""
    line = _equals(other).exclude(id__in=[job.id, other.id])
    here = Q(position=other.position)
    if before:
        near = line.filter(Q(position__lt=other.position) | here & Q(id__lt=other.id))
        neighbour = near.order_by("-position", "-id").first()
        end = other.position - 1 if neighbour is None else neighbour.position
    else:
        near = line.filter(Q(position__gt=other.position) | here & Q(id__gt=other.id))
        neighbour = near.order_by("position", "id").first()
        end = other.position + 1 if neighbour is None else neighbour.position
    middle = (other.position + end) / 2
    return middle if middle not in (other.position, end) else None


def _spread(job: Job, other: Job, *, before: bool) -> float:
    """Make room around the other job, and return the position that is free then."""
    line = _equals(other).exclude(id=job.id)
    around = line.filter(position__gte=other.position).order_by("position", "id")
    ids = list(around.values_list("id", flat=True)[: MOST_SPREAD + 1])
    beyond = Job.objects.get(id=ids.pop()).position if len(ids) > MOST_SPREAD else None
    end = other.position + 1 if beyond is None or beyond <= other.position else beyond
    order = ids.index(other.id) + (0 if before else 1)
    places = [*ids[:order], None, *ids[order:]]
    step = (end - other.position) / (len(places) + 1)
    positions = [other.position + step * number for number in range(len(places))]
    # Locked by id first, like whatever else changes many jobs.
    list(Job.objects.select_for_update().filter(id__in=ids).order_by("id").values_list("id"))
    with connection.cursor() as cursor:
        told = [(position, at) for position, at in zip(positions, places, strict=True) if at]
        cursor.executemany("UPDATE jobs_job SET position = %s WHERE id = %s", told)
    return positions[order]


def _record(job: Job, kind: str, **changes: Any) -> None:
    """Write what is a column, and tell the event of all."""
    columns = {field.name for field in Job._meta.concrete_fields}
    values = {name: value for name, value in changes.items() if name in columns}
    Job.objects.filter(id=job.id).update(updated_at=Now(), **values)
    told = {name: value for name, value in changes.items() if name not in _UNTOLD}
    said = {"status": job.status, "attempt": job.attempt, **told}
    log.record([log.Change(kind, "job", str(job.id), said)])
    logger.info("job %s %s %s", str(job.id)[:8], kind, told)


_UNTOLD = ("position", "not_before")


def _shown(job_id: UUID) -> Job:
    return Job.objects.with_everything_shown().get(id=job_id)
