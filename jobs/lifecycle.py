"""The verbs of a job's life, and the only writer of its status.

Each verb is one guarded update: when it touches no row, somebody was faster and the
caller stops. Rows are always locked in the order job, slot, event log.

```
              admit+claim              complete
   pending ───────────────► processing ────────► completed
    ▲   │ cancel              │ │ │ fail
    │   └──► cancelled ◄──────┘ │ └────────────► failed
    ├──── retry later / release / rescue           │
    └──────── retry (a person), also of cancelled ─┘
```
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Now
from django.utils import timezone

from apikeys.models import ApiKey
from events import log
from jobs import backoff, images, poison, removal, slots
from jobs.drafts import ORDINARY, Draft, Place, columns, in_common
from jobs.errors import BatchNotFound, JobNotFound, JobOperationInvalid
from jobs.failpoints import Failpoint, reach
from jobs.images import StagedImage
from jobs.models import Batch, Image, Input, Job, JobQuerySet, Slot
from jobs.quota import room_for
from jobs.slots import Lease
from jobs.storing import store, store_copies
from jobs.unsynced import unsynced
from servers.models import Server
from webhooks import registry as webhooks
from webhooks.registry import Hook

logger = logging.getLogger(__name__)

TRANSITIONS: frozenset[tuple[str, str]] = frozenset(
    {
        ("pending", "processing"),
        ("processing", "completed"),
        ("processing", "failed"),
        ("processing", "pending"),
        ("pending", "cancelled"),
        ("processing", "cancelled"),
        ("failed", "pending"),
        ("cancelled", "pending"),
    }
)
"""Every change of status that a verb below may make."""


def submit(
    *,
    server: Server,
    kind: str,
    parameters: Mapping[str, Any],
    seed: int,
    inputs: Sequence[Input] = (),
    key: ApiKey | None = None,
    source_info: str = "",
    place: Place = ORDINARY,
    hook: Hook | None = None,
) -> Job:
    """Accept a job. Once this returns, it is kept until it ended, and `hook` is told of it.

    Raises TooManyWaiting.
    """
    draft = Draft(kind, parameters, seed)
    job = Job(**columns(draft), **in_common(server, key, source_info, place))
    said = _submission(server, key)
    reach(Failpoint.BEFORE_COMMIT)
    change = log.Change("job.submitted", "job", str(job.id), said)
    with room_for(1, key=key):
        if hook is None:
            store(job, inputs, [change])
        else:
            with transaction.atomic():
                webhooks.hook(hook, key=key, job_id=job.id)
                store(job, inputs, [change])
    reach(Failpoint.AFTER_COMMIT)
    # Each change of a job is a line of the log; that it came is in the event log alone.
    logger.debug("job %s job.submitted server=%s", str(job.id)[:8], server.alias)
    return job


def submit_many(
    *,
    server: Server,
    drafts: Sequence[Draft],
    name: str = "",
    key: ApiKey | None = None,
    source_info: str = "",
    place: Place = ORDINARY,
    hook: Hook | None = None,
) -> tuple[Batch, list[UUID]]:
    """Accept a batch of jobs, all or none of them. They wait in the order of the drafts.

    `hook` is told of each of them.

    Returns it with the ids of its jobs, in that order. Raises TooManyWaiting.
    """
    # Of one moment, jobs are ordered by their ids.
    ids = sorted(uuid4() for _ in drafts)
    with room_for(len(drafts), key=key), transaction.atomic():
        batch = Batch.objects.create(name=name, total=len(drafts), submitted_by=key)
        if hook is not None:
            webhooks.hook(hook, key=key, batch_id=batch.id)
        first = Job.objects.create(
            id=ids[0],
            **columns(drafts[0]),
            **in_common(server, key, source_info, place),
            batch=batch,
        )
        others = zip(ids[1:], drafts[1:], strict=True)
        store_copies(first, ({"id": job_id, **columns(draft)} for job_id, draft in others))
        Job.inputs.through.objects.bulk_create(
            Job.inputs.through(job_id=job_id, input=kept)
            for job_id, draft in zip(ids, drafts, strict=True)
            for kept in draft.inputs
        )
        said = {**_submission(server, key), "batch": str(batch.id)}
        log.record([log.Change("job.submitted", "job", str(job_id), said) for job_id in ids])
        _tell("batch", batch.id, "batch.submitted", jobs=len(ids), server=server.alias)
    return batch, ids


def admit(*, job_id: UUID, last_attempt: int, server_id: int) -> int | None:
    """Promise the free slot of a server to a waiting job; begins the next attempt.

    Returns the attempt's number, or None when the job or the slot is no longer there.
    """
    attempt = last_attempt + 1
    values: dict[str, Any] = {
        "job": job_id,
        "attempt": attempt,
        "task": _new_task_id(job_id, attempt),
        "server": server_id,
    }
    with connection.cursor() as cursor:
        cursor.execute(_ADMIT, values)
        return attempt if cursor.rowcount else None


# One statement, as it stands between a picture and the next: the job first, then the slot.
_ADMIT = """
    WITH job AS (
        UPDATE jobs_job SET attempt = %(attempt)s, task_id = %(task)s
         WHERE id = %(job)s AND status = 'pending' AND attempt = %(attempt)s - 1
           AND EXISTS (SELECT 1 FROM jobs_slot WHERE server_id = %(server)s AND state = 'free')
        RETURNING id
    )
    UPDATE jobs_slot
       SET state = 'admitted', job_id = job.id, attempt = %(attempt)s, task_id = %(task)s,
           worker = '', beat = 0, sent_at = NULL, phase = '', trouble = NULL,
           progress = 0, eta_seconds = NULL,
           suspect = NULL
      FROM job
     WHERE server_id = %(server)s AND state = 'free'
"""


def claim(*, job_id: UUID, attempt: int, worker: str) -> tuple[Job, Lease] | None:
    """Begin to work on an admitted attempt. None when it is not, or no longer, there to take."""
    # A name of its own: a crash of the database may undo a claim whose worker goes on, and
    # what that one still writes must not be taken for the writing of who claims it next.
    task = _new_task_id(job_id, attempt)
    values: dict[str, Any] = {"job": job_id, "attempt": attempt, "worker": worker, "task": task}
    with unsynced():
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, values)
            if not cursor.rowcount:
                return None
        _record("job.claimed", job_id, status="processing", attempt=attempt, worker=worker)
    job = Job.objects.select_related("server", "slot").get(id=job_id)
    return job, Lease(job.server_id, job.task_id, attempt)


# The job's row decides: whoever takes a slot from a job has locked that row before. A server
# or queue that was paused since the admission starts nothing but what a person wants now;
# `withdraw` then takes the slot back.
_CLAIM = """
    WITH job AS (
        UPDATE jobs_job
           SET status = 'processing', not_before = NULL, updated_at = now(), task_id = %(task)s
         WHERE id = %(job)s AND attempt = %(attempt)s AND status = 'pending'
           AND EXISTS (
                SELECT 1 FROM jobs_slot AS slot
                  JOIN servers_server AS server ON server.id = slot.server_id
                 WHERE slot.job_id = jobs_job.id AND slot.attempt = %(attempt)s
                   AND slot.state = 'admitted'
                   AND server.retired_at IS NULL
                   AND server.held_until IS NULL
                   AND (jobs_job.urgency = 2 OR NOT server.is_paused
                        AND server.quiet_until IS NULL
                        AND NOT EXISTS (SELECT 1 FROM jobs_queue WHERE is_paused))
               )
        RETURNING id
    )
    UPDATE jobs_slot
       SET state = 'claimed', worker = %(worker)s, task_id = %(task)s, beat = 1, phase = 'sending'
      FROM job
     WHERE job_id = job.id AND jobs_slot.attempt = %(attempt)s AND state = 'admitted'
"""


def withdraw(*, job_id: UUID, attempt: int) -> bool:
    """Take back the slot that was promised to a job; it waits on, and nothing is charged.

    False if a worker has claimed the attempt, or the job was cancelled.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update().pending().filter(id=job_id, attempt=attempt).first()
        return job is not None and slots.withdraw(job_id, attempt)


def complete(
    *, job: Job, attempt: int, pictures: Sequence[StagedImage], result: Mapping[str, Any]
) -> bool:
    """Attach the staged pictures as the job's one result. False if the job was cancelled.

    The job's row stays locked while the pictures get their names, so that a cancel comes
    either before (and no picture appears) or after (and finds the job completed).
    Raises OSError when the disk refuses; nothing has changed then.
    """
    names = [picture.name for picture in pictures]
    with transaction.atomic():
        mine = Job.objects.select_for_update().processing().filter(id=job.id, attempt=attempt)
        if mine.first() is None:
            return False
        images.publish(pictures)
        try:
            reach(Failpoint.AFTER_PUBLISH)
            Image.objects.bulk_create(
                Image(
                    job=job,
                    index=picture.index,
                    name=picture.name,
                    seed=picture.seed,
                    bytes=picture.bytes,
                    sha256=picture.sha256,
                )
                for picture in pictures
            )
            _change(
                Job.objects.processing(),
                job.id,
                attempt,
                status=Job.Status.COMPLETED,
                result=dict(result),
                finished_at=Now(),
            )
            _record("job.completed", job.id, status="completed", attempt=attempt, images=names)
        except BaseException:
            images.remove(names)
            raise
    return True


def fail(*, job_id: UUID, attempt: int, code: str, message: str) -> bool:
    """End a job that no further attempt can help."""
    with transaction.atomic():
        return _fail(job_id, attempt, code, message)


def retry_later(*, job_id: UUID, attempt: int, code: str, message: str) -> bool:
    """Charge the attempt; the job waits for its next one, or fails if it had its share.

    It fails at once if it brings Forge down every time.
    """
    with transaction.atomic():
        job = Job.objects.select_for_update().processing().filter(id=job_id).first()
        if job is None or job.attempt != attempt:
            return False
        if poison.is_poison(_codes(job), code):
            sentence = poison.sentence(job.target_alias, message)
            return _fail(job_id, attempt, poison.CODE, sentence)
        if job.retry_count >= backoff.MAX_RETRIES:
            return _fail(job_id, attempt, code, message)
        retry_count = job.retry_count + 1
        seconds = backoff.retry_wait(retry_count) * settings.TIME_SCALE
        _change(
            Job.objects.processing(),
            job_id,
            attempt,
            status=Job.Status.PENDING,
            retry_count=retry_count,
            not_before=Now() + timedelta(seconds=seconds),
            errors=[*job.errors, _error(job, code, message)],
        )
        slots.detach([job_id])
        if code in poison.ENDS_FORGE:
            slots.suspect(job.server_id, job_id)
        _record("job.retry", job_id, status="pending", attempt=attempt, code=code, message=message)
    return True


def release(*, job_id: UUID, attempt: int, code: str, message: str, seconds: float = 0) -> bool:
    """Put a job back without charging the attempt; not to be admitted for `seconds`."""
    with transaction.atomic():
        not_before = Now() + timedelta(seconds=seconds) if seconds else None
        if not _change(
            Job.objects.processing(),
            job_id,
            attempt,
            status=Job.Status.PENDING,
            not_before=not_before,
        ):
            return False
        slots.detach([job_id])
        _record(
            "job.released", job_id, status="pending", attempt=attempt, code=code, message=message
        )
    return True


def rescue(*, job_id: UUID, lease: Lease, trouble: Mapping[str, str] | None = None) -> bool:
    """Leave a job that was sent to a recovery, under the next attempt's number.

    Whatever its worker still writes is refused from now on, and the slot waits until Forge
    was asked what became of the generation. `trouble` (code, message) says why, if the
    worker lives to tell it. False if the job ended, or somebody else was faster.
    """
    attempt = lease.attempt + 1
    with transaction.atomic():
        if not _change(Job.objects.processing(), job_id, lease.attempt, attempt=attempt):
            return False
        slots.reassign(lease, trouble=trouble)
        _record("job.rescued", job_id, status="processing", attempt=attempt)
    return True


def rescue_saving(*, job_id: UUID, attempt: int) -> Job | None:
    """Take a drawn job over from a worker that died before its pictures were attached.

    None if it ended, or somebody else was faster.
    """
    with transaction.atomic():
        # Not `slot=None`: that is a join, read before the row is locked, and the row may have
        # changed by the time the lock is had.
        alone = Job.objects.processing().filter(~Exists(Slot.objects.filter(job=OuterRef("pk"))))
        if not _change(alone, job_id, attempt, attempt=attempt + 1):
            return None
        _record("job.rescued", job_id, status="processing", attempt=attempt + 1)
    return Job.objects.select_related("server").get(id=job_id)


def keep_saving(*, job_id: UUID, attempt: int) -> bool:
    """Show that a worker still tries to save the pictures. False if the job is gone."""
    return bool(_change(Job.objects.processing(), job_id, attempt, beat=F("beat") + 1))


def cancel(*, job_id: UUID) -> Job:
    """End a job on a person's word. Raises JobNotFound, JobOperationInvalid.

    A running generation is interrupted by the worker that holds its slot.
    """
    with transaction.atomic():
        job = _locked(job_id)
        if job.status in Job.ENDED:
            raise JobOperationInvalid("cancelled", job.status)
        log.record(_cancel({job.id: job.attempt}))
        _tell("job", job.id, "job.cancelled", attempt=job.attempt)
    return Job.objects.with_everything_shown().get(id=job_id)


def cancel_batch(*, batch_id: UUID) -> int:
    """End all jobs of a batch that have not ended. Returns how many. Raises BatchNotFound."""
    with transaction.atomic():
        if not Batch.objects.filter(id=batch_id).exists():
            raise BatchNotFound(batch_id)
        # By id, so that of two who cancel the same batch none holds what the other waits for.
        alive = Job.objects.filter(batch=batch_id).exclude(status__in=Job.ENDED)
        locked = alive.select_for_update().order_by("id")
        attempts = dict(locked.values_list("id", "attempt"))
        log.record(_cancel(attempts))
        _tell("batch", batch_id, "batch.cancelled", jobs=len(attempts))
    return len(attempts)


def retry(*, job_id: UUID) -> Job:
    """Let a failed or cancelled job run again on a person's word. It has all its tries anew.

    Its attempts are counted on and what went wrong so far stays in its history.
    Raises JobNotFound, JobOperationInvalid.
    """
    with transaction.atomic():
        job = _locked(job_id)
        if job.status not in (Job.Status.FAILED, Job.Status.CANCELLED):
            raise JobOperationInvalid("retried", job.status)
        log.record(_retry({job.id: job.attempt}))
        _tell("job", job.id, "job.retried", attempt=job.attempt)
    return Job.objects.with_everything_shown().get(id=job_id)


def retry_failed(
    *, server: Server | None = None, code: str = "", batch_id: UUID | None = None
) -> tuple[int, int]:
    """Let failed jobs run again: all, or those of that server, last error and batch.

    At most MOST_RETRIED at once. Returns how many, and how many that match are left.
    Raises BatchNotFound.
    """
    if batch_id is not None and not Batch.objects.filter(id=batch_id).exists():
        raise BatchNotFound(batch_id)
    wanted: dict[str, Any] = {"server": server, "result__error": code, "batch": batch_id}
    given = {name: value for name, value in wanted.items() if value}
    failed = Job.objects.filter(status=Job.Status.FAILED, **given)
    with transaction.atomic():
        # By id, so that of two who retry the same jobs none holds what the other waits for.
        locked = failed.select_for_update().order_by("id")[:MOST_RETRIED]
        attempts = dict(locked.values_list("id", "attempt"))
        log.record(_retry(attempts))
        if attempts:
            logger.info("%s failed jobs are tried again", len(attempts))
    return len(attempts), failed.count()


MOST_RETRIED = 1000
"""Jobs that one call lets run again."""


def delete(*, job_id: UUID) -> None:
    """Remove a job with its pictures; one that has not ended is cancelled first.

    Inputs that no other job uses go with it. Raises JobNotFound.
    """
    with transaction.atomic():
        job = _locked(job_id)
        changes = [] if job.status in Job.ENDED else _cancel({job.id: job.attempt})
        files = removal.take_out(job, changes)
        _tell("job", job_id, "job.deleted")
    files.remove()


def expire(*, job_id: UUID, because: str) -> bool:
    """Remove a job that was kept for long enough. False if it is starred or no longer ended."""
    with transaction.atomic():
        ended = Job.objects.filter(id=job_id, status__in=Job.ENDED, is_starred=False)
        job = ended.select_for_update().first()
        if job is None:
            return False
        files = removal.take_out(job, [], because=because)
        _tell("job", job_id, "job.deleted", because=because)
    files.remove()
    return True


def star(*, job_id: UUID, starred: bool) -> Job:
    """Spare a job from being removed by age or size, or don't any more. Raises JobNotFound."""
    with transaction.atomic():
        job = _locked(job_id)
        if job.is_starred != starred:
            Job.objects.filter(id=job_id).update(is_starred=starred, updated_at=Now())
            _record("job.starred" if starred else "job.unstarred", job_id, status=job.status)
    return Job.objects.with_everything_shown().get(id=job_id)


def _new_task_id(job_id: UUID, attempt: int) -> str:
    """Name a generation to Forge; random, since a restored backup counts attempts anew."""
    return f"{job_id}-{attempt}-{secrets.token_hex(4)}"


def _submission(server: Server, key: ApiKey | None) -> dict[str, Any]:
    """What the first event of a job says: to what it belongs, for when its row is gone."""
    return {"status": "pending", "server": server.alias} | ({"key": str(key.pk)} if key else {})


def _locked(job_id: UUID) -> Job:
    job = Job.objects.select_for_update().filter(id=job_id).first()
    if job is None:
        raise JobNotFound(job_id)
    return job


def _cancel(attempts: Mapping[UUID, int]) -> list[log.Change]:
    """End jobs, named with their attempts, whose rows are locked; returns what to record."""
    Job.objects.filter(id__in=attempts).update(
        status=Job.Status.CANCELLED,
        result={"cancelled": True, "message": "Job cancelled by user"},
        finished_at=Now(),
        updated_at=Now(),
    )
    slots.detach(attempts)
    return [
        log.Change("job.cancelled", "job", str(job_id), {"status": "cancelled", "attempt": attempt})
        for job_id, attempt in attempts.items()
    ]


def _retry(attempts: Mapping[UUID, int]) -> list[log.Change]:
    """Put ended jobs, named with their attempts, whose rows are locked, back in line."""
    Job.objects.filter(id__in=attempts).update(
        status=Job.Status.PENDING,
        retry_count=0,
        not_before=None,
        urgency=Job.Urgency.NONE,
        result=None,
        finished_at=None,
        updated_at=Now(),
    )
    return [
        log.Change("job.retried", "job", str(job_id), {"status": "pending", "attempt": attempt})
        for job_id, attempt in attempts.items()
    ]


def _codes(job: Job) -> list[str]:
    """Why the tries failed that the job had since it was submitted or retried by a person."""
    return [error["code"] for error in job.errors[len(job.errors) - job.retry_count :]]


def _fail(job_id: UUID, attempt: int, code: str, message: str) -> bool:
    job = Job.objects.select_for_update().processing().filter(id=job_id, attempt=attempt).first()
    if job is None:
        return False
    _change(
        Job.objects.processing(),
        job_id,
        attempt,
        status=Job.Status.FAILED,
        result={"error": code, "message": message},
        errors=[*job.errors, _error(job, code, message)],
        finished_at=Now(),
    )
    slots.detach([job_id])
    _record("job.failed", job_id, status="failed", attempt=attempt, code=code, message=message)
    return True


def _change(jobs: JobQuerySet, job_id: UUID, of_attempt: int, **values: Any) -> int:
    """The guarded update: nothing happens unless the job is still this attempt's."""
    return jobs.filter(id=job_id, attempt=of_attempt).update(updated_at=Now(), **values)


def _error(job: Job, code: str, message: str) -> dict[str, Any]:
    """One entry of a job's history of failed attempts."""
    return {
        "code": code,
        "message": message,
        "at": timezone.now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "attempt": job.attempt,
        "server": job.target_alias,
    }


def _record(kind: str, job_id: UUID, **data: Any) -> None:
    """Store the event of a change; the last statement of its transaction."""
    log.record([log.Change(kind, "job", str(job_id), data)])
    _tell("job", job_id, kind, **data)


def _tell(what: str, which: UUID, kind: str, **data: Any) -> None:
    """Write one line to the log once the transaction is committed."""
    words = " ".join(f"{name}={value}" for name, value in data.items() if value is not None)
    transaction.on_commit(lambda: logger.info("%s %s %s %s", what, str(which)[:8], kind, words))
