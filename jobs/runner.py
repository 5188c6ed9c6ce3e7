"""One attempt of a job, from claim to outcome, in named steps.

    claim ► plan ► body ► draw ► give the slot back ► keep ► settle

What happened is a value (`jobs.outcomes`); `settlement.settle` is the one place that carries
it out.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any, cast
from uuid import UUID

from jobs import (
    collection,
    disk,
    healing,
    images,
    lifecycle,
    payload,
    preparation,
    previews,
    settlement,
    slots,
)
from jobs.errors import JobError
from jobs.failpoints import Failpoint, reach
from jobs.insist import insist
from jobs.leaving import Leaving, departure
from jobs.models import Job, Slot
from jobs.outcomes import Charged, Gone, Ill, Lost, Outcome, Refused, Snoozed, of_forge_error
from jobs.preparation import Plan
from jobs.pulse import Pulse, beat_saving, while_beating
from jobs.slots import Lease, LeaseLost
from models_catalog import names
from servers import fleet, health, holds, speed
from servers.forge import (
    ForgeBadReply,
    ForgeCheckpointBroken,
    ForgeError,
    ForgePoisoned,
    ForgeStalled,
    ForgeUnknownSetting,
    Generation,
    Kind,
    Progress,
)
from servers.forge_ways import Forge
from servers.models import Server

logger = logging.getLogger(__name__)


def run(*, job_id: UUID, attempt: int, worker: str) -> None:
    """Take up an admitted attempt and see it through. A no-op if it is not there to take."""
    if departure.has_begun:
        # Its message is sent again, to a worker that stays.
        return
    reach(Failpoint.BEFORE_CLAIM)
    claimed = lifecycle.claim(job_id=job_id, attempt=attempt, worker=worker)
    if claimed is None:
        logger.info("job %s attempt %s is not there to claim", str(job_id)[:8], attempt)
        return
    reach(Failpoint.AFTER_CLAIM)
    job, lease = claimed
    outcome = _attempt(job, lease)
    reach(Failpoint.BEFORE_COMPLETE)
    insist(lambda: settlement.settle(job, outcome))
    if isinstance(outcome, Ill):
        healing.heal(job.server, outcome)
    reach(Failpoint.AFTER_COMPLETE)
    images.discard_staging(job_id=job_id, attempt=attempt)


def _attempt(job: Job, lease: Lease) -> Outcome:
    """Everything between claim and settlement, with the worker's one bulkhead.

    Gives the slot back as soon as Forge is known to be done with it; a lost generation keeps
    it for its recovery, an illness of Forge for the healing.
    """
    sent: Lease | None = None
    plan = Plan(None)
    still_drawing = False
    try:
        images.require_writable()
        client = job.server.client()
        plan = preparation.plan(client, job)
        body = preparation.body(client, job, plan)
        plan = preparation.heeding_the_way(client, plan, body)
        pulse = Pulse(lease)
        if not slots.mark_sent(lease, checkpoint=job.checkpoint):
            slots.free(lease)
            return Gone()
        sent = lease
        reach(Failpoint.BEFORE_SEND)
        beat = _Beat(job, pulse)
        plan, generation = _draw(client, job, beat, plan, body)
        reach(Failpoint.AFTER_RESPONSE)
        _note_success(job, generation, beat)
        return settlement.keep(job, plan, generation)
    except LeaseLost:
        return Gone("its lease was lost")
    except Leaving:
        return Lost(lease, "WORKER_STOPPED", "The worker of this job was stopped in the middle.")
    except (ForgePoisoned, ForgeCheckpointBroken) as error:
        return _ill(job, lease, plan, error)
    except ForgeError as error:
        _note_health(job.server, error)
        outcome: Outcome = _of_forge_error(job, error, sent=sent)
        still_drawing = isinstance(error, ForgeStalled)
    except (
        JobError,
        names.NameRejected,
        names.CheckpointNotFound,
        names.CheckpointAmbiguous,
    ) as error:
        outcome = Refused(error.code, str(error))
    except Exception as error:
        if isinstance(error, OSError) and not sent:
            outcome = settlement.storage_trouble(error)
            insist(partial(disk.note_refusal, error))
        else:
            logger.exception("job %s: unexpected error", str(job.id)[:8])
            outcome = _unexpected(error, sent=sent)
    if not isinstance(outcome, Lost):
        insist(lambda: slots.hand_over(lease) if still_drawing else slots.free(lease))
    return outcome


def _draw(
    client: Forge, job: Job, beat: _Beat, plan: Plan, body: dict[str, Any]
) -> tuple[Plan, Generation]:
    """Have Forge draw. An answer of no use is made good from the copy that Forge kept.

    The slot is given back the moment Forge has answered: the next job need not wait until
    the pictures are unpacked and saved.
    """
    try:
        generation = client.generate(
            cast(Kind, job.kind),
            body,
            beat.lease.task_id,
            expected_images=payload.image_count(job.parameters),
            before_sending=beat.begin,
            on_progress=beat,
            on_answer=beat.end,
        )
    except ForgeBadReply as error:
        insist(lambda: slots.free(beat.lease))
        kept = while_beating(lambda: collection.collect(client, job), lambda: beat_saving(job))
        if kept is None:
            raise
        return plan.warning(f"{error} The pictures were fetched from the copies it keeps."), kept
    return plan, generation


class _Beat:
    """Shows at every poll that the lease is alive; says whether the generation is to stop."""

    def __init__(self, job: Job, pulse: Pulse) -> None:
        self._job_id = job.id
        self._pulse = pulse
        self._begun_at: float | None = None
        self._seconds: float | None = None
        self._had_to_wait = False

    @property
    def lease(self) -> Lease:
        return self._pulse.lease

    @property
    def seconds(self) -> float | None:
        """How long Forge took; None if it drew for somebody else in between."""
        return None if self._had_to_wait else self._seconds

    def begin(self) -> None:
        """The request is about to leave. Raises LeaseLost if it may not."""
        self._pulse.require_fresh()
        self._begun_at = time.monotonic()

    def end(self) -> None:
        """Forge has answered."""
        if self._begun_at is not None:
            self._seconds = time.monotonic() - self._begun_at
        insist(lambda: slots.free(self.lease))

    def __call__(self, progress: Progress | None) -> bool:
        reach(Failpoint.BEAT)
        if progress is not None and progress.preview is not None:
            previews.keep(self._job_id, progress.preview)
        state = self._pulse.beat(
            phase=self._phase(progress),
            progress=progress.fraction if progress else None,
            eta_seconds=progress.eta if progress else None,
        )
        return state != Slot.State.SENT

    def _phase(self, progress: Progress | None) -> str:
        if progress is None:
            return "sending" if self._begun_at is None else "generating"
        if progress.state == "unknown":
            return "sending"
        if progress.state == "queued":
            self._had_to_wait = True
            return "queued_on_forge"
        if progress.state == "completed":
            return "downloading"
        return "generating" if progress.fraction else "loading_model"


def _of_forge_error(job: Job, error: ForgeError, *, sent: Lease | None) -> Outcome:
    """What an error of Forge means; a setting of our own that it lacks is not the job's fault."""
    if isinstance(error, ForgeUnknownSetting) and error.setting in payload.COPY_OPTIONS:
        fleet.forget_pins(job.server)
        return Charged(error.code, f"{error} The next try does without its copies.")
    return of_forge_error(error, sent=sent)


def _ill(job: Job, lease: Lease, plan: Plan, error: ForgePoisoned | ForgeCheckpointBroken) -> Ill:
    """What it means that Forge lost its checkpoint: for this job, and for its healing."""
    spoilt = plan.checkpoint.name if plan.checkpoint else ""
    ending: Snoozed | Refused = Snoozed(error.code, str(error))
    if isinstance(error, ForgeCheckpointBroken):
        ending = Refused(error.code, preparation.sentence_of_broken(job, plan))
    return Ill(lease, ending, spoilt, error)


def _unexpected(error: Exception, *, sent: Lease | None) -> Outcome:
    """What an error that nobody foresaw means."""
    code, message = "INTERNAL_ERROR", f"StableQueue itself failed: {type(error).__name__}."
    return Lost(sent, code, message) if sent else Charged(code, message)


def _note_health(server: Server, error: ForgeError) -> None:
    insist(lambda: health.note(server, error))


def _note_success(job: Job, generation: Generation, beat: _Beat) -> None:
    if generation.interrupted or generation.foreign_interrupt:
        return
    insist(lambda: holds.note_success(job.server))
    if (seconds := beat.seconds) is not None:
        # As the claim found it: what was loaded before this job.
        had_to_load = job.checkpoint not in ("", job.slot.loaded)
        learn = partial(speed.note, server_id=job.server_id, had_to_load=had_to_load)
        insist(lambda: learn(work=job.work, seconds=seconds))
