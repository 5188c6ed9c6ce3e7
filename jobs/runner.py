"""One attempt of a job, from claim to outcome, in named steps.

    claim ► prepare (checkpoint, payload) ► draw ► give the slot back ► save ► settle

What happened is a value (`jobs.outcomes`); `_settle` is the one place that carries it out.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any, assert_never, cast
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from jobs import disk, images, inputs, lifecycle, payload, saving, slots
from jobs.errors import JobError
from jobs.failpoints import Failpoint, reach
from jobs.images import StagedImage
from jobs.insist import insist
from jobs.models import Job, Slot
from jobs.outcomes import Charged, Drawn, Gone, Outcome, Refused, Snoozed, of_forge_error
from jobs.slots import Lease
from models_catalog import names
from servers import fleet, health
from servers.forge import (
    Checkpoint,
    ForgeClient,
    ForgeConnectionLost,
    ForgeError,
    ForgeStalled,
    Generation,
    Kind,
    Progress,
)
from servers.models import Server

logger = logging.getLogger(__name__)


def run(*, job_id: UUID, attempt: int, worker: str) -> None:
    """Take up an admitted attempt and see it through. A no-op if it is not there to take."""
    reach(Failpoint.BEFORE_CLAIM)
    claimed = lifecycle.claim(job_id=job_id, attempt=attempt, worker=worker)
    if claimed is None:
        logger.info("job %s attempt %s is not there to claim", str(job_id)[:8], attempt)
        return
    reach(Failpoint.AFTER_CLAIM)
    job, lease = claimed
    outcome = _attempt(job, lease)
    reach(Failpoint.BEFORE_COMPLETE)
    insist(lambda: _settle(job, outcome))
    reach(Failpoint.AFTER_COMPLETE)
    images.discard_staging(job_id=job_id, attempt=attempt)


def _attempt(job: Job, lease: Lease) -> Outcome:
    """Everything between claim and settlement, with the worker's one bulkhead.

    Gives the slot back as soon as Forge is known to be done with it.
    """
    try:
        images.require_writable()
        client = job.server.client()
        checkpoint, warnings = _resolve_checkpoint(client, job)
        body = _prepare(client, job, checkpoint, warnings)
        if not slots.mark_sent(lease):
            slots.free(lease)
            return Gone()
        reach(Failpoint.BEFORE_SEND)
        generation = _draw(client, job, lease, body)
        reach(Failpoint.AFTER_RESPONSE)
        return _judge(job, checkpoint, generation) or _save(job, generation, warnings)
    except ForgeError as error:
        _note_health(job.server, error)
        outcome = of_forge_error(error)
        still_drawing = isinstance(error, ForgeConnectionLost | ForgeStalled)
    except (
        JobError,
        names.NameRejected,
        names.CheckpointNotFound,
        names.CheckpointAmbiguous,
    ) as error:
        outcome, still_drawing = Refused(error.code, str(error)), False
    except OSError as error:
        outcome, still_drawing = _storage_trouble(error), False
        insist(partial(disk.note_refusal, error))
    except Exception as error:
        logger.exception("job %s: unexpected error", str(job.id)[:8])
        outcome = Charged("INTERNAL_ERROR", f"StableQueue itself failed: {type(error).__name__}.")
        still_drawing = True
    insist(lambda: slots.hand_over(lease) if still_drawing else slots.free(lease))
    return outcome


def _resolve_checkpoint(client: ForgeClient, job: Job) -> tuple[Checkpoint | None, list[str]]:
    """The checkpoint on this server's own list, None for the one it has selected; and warnings.

    Forge draws with whatever is loaded when it doesn't know a name, and says nothing.
    """
    wanted = payload.wanted_checkpoint(job.parameters)
    if names.is_no_override(wanted):
        return None, []
    match = names.match(wanted, client.checkpoints())
    if match.warning == names.HASH_MISMATCH:
        return match.listed, [f"The file on {job.target_alias} has another hash than asked for."]
    return match.listed, []


def _prepare(
    client: ForgeClient, job: Job, checkpoint: Checkpoint | None, warnings: list[str]
) -> dict[str, Any]:
    """The request's body. What had to be left out of it is added to `warnings`."""
    scheduler = payload.wanted_scheduler(job.parameters)
    if scheduler and scheduler not in client.schedulers():
        warnings.append(
            f"{job.target_alias} knows no scheduler {scheduler!r}; it used its own choice."
        )
        scheduler = ""
    body = payload.build(
        job.parameters,
        seed=job.seed,
        checkpoint=checkpoint.name if checkpoint else "",
        scheduler=scheduler,
        read_input=inputs.reader_of(job),
    )
    fleet.pin_options(job.server, client, body.get("override_settings", {}))
    return body


def _draw(client: ForgeClient, job: Job, lease: Lease, body: dict[str, Any]) -> Generation:
    """Have Forge draw, beating the slot and watching for a cancel at every poll.

    The slot is given back the moment Forge has answered: the next job need not wait until
    the pictures are unpacked and saved.
    """
    return client.generate(
        cast(Kind, job.kind),
        body,
        lease.task_id,
        expected_images=payload.image_count(job.parameters),
        on_progress=_Beat(lease),
        on_answer=lambda: insist(lambda: slots.free(lease)),
    )


class _Beat:
    """Shows at every poll that the lease is alive; says whether the generation is to stop.

    A worker that cannot reach the database cannot know whether the job is still its own.
    It goes on for a while, then fences itself off.
    """

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._answered_at = time.monotonic()

    def __call__(self, progress: Progress | None) -> bool:
        reach(Failpoint.BEAT)
        try:
            state = slots.beat(
                self._lease,
                phase=_phase(progress),
                progress=progress.fraction if progress else 0,
                eta_seconds=progress.eta if progress else None,
            )
        except (OperationalError, InterfaceError):
            connection.close()
            return time.monotonic() > self._answered_at + float(settings.FENCE_AFTER)
        self._answered_at = time.monotonic()
        return state != Slot.State.SENT


def _phase(progress: Progress | None) -> str:
    if progress is None or progress.state == "unknown":
        return "sending"
    if progress.state == "queued":
        return "queued_on_forge"
    if progress.state == "completed":
        return "downloading"
    return "generating" if progress.fraction else "loading_model"


def _judge(job: Job, checkpoint: Checkpoint | None, generation: Generation) -> Outcome | None:
    """What Forge's answer itself says against keeping the pictures; None if nothing."""
    if generation.interrupted:
        return Gone()
    if generation.foreign_interrupt:
        return Charged("INTERRUPTED", "Somebody interrupted the generation on the server itself.")
    if checkpoint and not names.is_answered_by(
        checkpoint, generation.model_name, generation.model_hash
    ):
        return Refused(
            "MODEL_MISMATCH",
            f"{job.target_alias} drew with {generation.model_name!r} instead of "
            f"{checkpoint.name!r}. Refresh its checkpoint list and retry.",
        )
    return None


def _save(job: Job, generation: Generation, warnings: list[str]) -> Outcome:
    """Stage the pictures; while the disk refuses, wait for it rather than draw again."""
    stage = partial(
        images.stage,
        job_id=job.id,
        attempt=job.attempt,
        pictures=generation.images,
        seeds=generation.seeds,
    )
    try:
        staged = saving.patiently(stage, job=job)
    except OSError as error:
        return Charged("STORAGE_UNAVAILABLE", disk.sentence_of(error))
    return Gone() if staged is None else Drawn(staged, generation.info, tuple(warnings))


def _storage_trouble(error: OSError) -> Snoozed:
    return Snoozed("STORAGE_UNAVAILABLE", disk.sentence_of(error), seconds=settings.STORAGE_WAIT)


def _note_health(server: Server, error: ForgeError) -> None:
    insist(lambda: health.note(server, error))


def _settle(job: Job, outcome: Outcome) -> None:
    """Turn the outcome into the one transition it stands for."""
    mine: dict[str, Any] = {"job_id": job.id, "attempt": job.attempt}
    match outcome:
        case Drawn(pictures, info, warnings):
            result = _result(pictures, info, warnings)
            attach = partial(
                lifecycle.complete, job=job, attempt=job.attempt, pictures=pictures, result=result
            )
            try:
                saving.patiently(attach, job=job)
            except OSError as error:
                trouble = _storage_trouble(error)
                lifecycle.retry_later(**mine, code=trouble.code, message=trouble.message)
        case Snoozed(code, message, seconds):
            lifecycle.release(**mine, code=code, message=message, seconds=seconds)
        case Charged(code, message):
            lifecycle.retry_later(**mine, code=code, message=message)
        case Refused(code, message):
            lifecycle.fail(**mine, code=code, message=message)
        case Gone():
            logger.info("job %s attempt %s is gone", str(job.id)[:8], job.attempt)
        case _:
            assert_never(outcome)


def _result(
    pictures: tuple[StagedImage, ...], info: dict[str, Any], warnings: tuple[str, ...]
) -> dict[str, Any]:
    """What is kept of an answer, beside the pictures."""
    return {
        "images": [picture.name for picture in pictures],
        "info": "Job completed and images downloaded by StableQueue backend.",
        "generation_info": info,
        "warnings": list(warnings),
    }
