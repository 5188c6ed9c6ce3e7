"""From a finished generation to the end of its attempt: judge, save, settle."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import Any, assert_never

from django.conf import settings

from jobs import comparison, disk, images, lifecycle, payload, saving, slots
from jobs.images import StagedImage
from jobs.models import Job
from jobs.outcomes import Charged, Drawn, Gone, Ill, Lost, Outcome, Refused, Snoozed
from jobs.preparation import Plan
from jobs.pulse import beat_saving, while_beating
from jobs.slots import LeaseLost
from models_catalog import names
from models_catalog.listings import LISTINGS, LORAS, MODULES, Question
from servers.forge import Generation

logger = logging.getLogger(__name__)


def keep(job: Job, plan: Plan, generation: Generation) -> Outcome:
    """Judge what was drawn, and stage its pictures if nothing speaks against them."""
    return _judge(job, plan, generation) or _save(job, _compared(job, plan, generation), generation)


def settle(job: Job, outcome: Outcome) -> None:
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
                trouble = storage_trouble(error)
                lifecycle.retry_later(**mine, code=trouble.code, message=trouble.message)
        case Snoozed(code, message, seconds):
            lifecycle.release(**mine, code=code, message=message, seconds=seconds)
        case Charged(code, message):
            lifecycle.retry_later(**mine, code=code, message=message)
        case Lost(lease, code, message):
            told = {"code": code, "message": message}
            if not lifecycle.rescue(job_id=job.id, lease=lease, trouble=told):
                slots.hand_over(lease)
        case Refused(code, message):
            lifecycle.fail(**mine, code=code, message=message)
        case Ill(ending=ending):
            settle(job, ending)
        case Gone():
            logger.info("job %s attempt %s is gone", str(job.id)[:8], job.attempt)
        case _:
            assert_never(outcome)


def storage_trouble(error: OSError) -> Snoozed:
    """What it means for a job that the disk refuses."""
    return Snoozed(
        "STORAGE_UNAVAILABLE",
        disk.sentence_of(error),
        seconds=settings.STORAGE_WAIT,
    )


def _judge(job: Job, plan: Plan, generation: Generation) -> Outcome | None:
    """What Forge's answer itself says against keeping the pictures; None if nothing."""
    if generation.interrupted:
        return Gone()
    if generation.foreign_interrupt:
        return Charged("INTERRUPTED", "Somebody interrupted the generation on the server itself.")
    if plan.checkpoint and not names.is_answered_by(
        plan.checkpoint, generation.model_name, generation.model_hash
    ):
        return Refused(
            "MODEL_MISMATCH",
            f"{job.target_alias} drew with {generation.model_name!r} instead of "
            f"{plan.checkpoint.name!r}. Refresh its checkpoint list and retry.",
        )
    return None


def _compared(job: Job, plan: Plan, generation: Generation) -> Plan:
    """The plan with a sentence more for each wish that Forge did not heed."""
    wish = payload.build(
        job.parameters,
        seed=job.seed,
        checkpoint=plan.checkpoint.name if plan.checkpoint else "",
        scheduler=plan.scheduler,
        # What the pictures show is compared with nothing.
        read_input=lambda sha256: "",
    )
    sentences = comparison.differences(wish, generation)
    doubts = comparison.doubts(wish, generation)
    loras = _listed(job, LORAS) if doubts.loras else None
    modules = _listed(job, MODULES) if doubts.modules else None
    sentences += comparison.missing(doubts, loras=loras, modules=modules)
    return replace(plan, warnings=(*plan.warnings, *sentences))


def _listed(job: Job, question: Question[Any]) -> set[str] | None:
    """All names of a list of the job's server; None if it does not answer."""
    (listing,) = while_beating(
        LISTINGS.ask([job.server], question).collect, partial(beat_saving, job)
    )
    if listing.error is not None:
        return None
    return {text for entry in listing.entries for text in question.texts(entry)[:2]}


def _save(job: Job, plan: Plan, generation: Generation) -> Outcome:
    """Stage the pictures; while the disk refuses, wait for it rather than draw again."""

    def stage() -> tuple[StagedImage, ...]:
        return while_beating(lambda: _stage(job, generation), lambda: beat_saving(job))

    try:
        staged = saving.patiently(stage, job=job)
    except LeaseLost:
        return Gone()
    except OSError as error:
        return Charged("STORAGE_UNAVAILABLE", disk.sentence_of(error))
    return Gone() if staged is None else Drawn(staged, generation.info, plan.warnings)


def _stage(job: Job, generation: Generation) -> tuple[StagedImage, ...]:
    return images.stage(
        job_id=job.id,
        attempt=job.attempt,
        pictures=generation.images,
        seeds=generation.seeds,
    )


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
