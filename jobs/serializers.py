"""The job on the wire. The contract's names stand here and nowhere deeper."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers

from jobs import forecast as forecasts
from jobs import phases, previews, thumbnails
from jobs.batches import Tally
from jobs.expansion import MAX_JOBS, Axes, Plan, TooManyJobs
from jobs.forecast import Span
from jobs.intake import SubmittedBatch
from jobs.models import Batch, Job, Queue
from jobs.parameters import (
    MAX_PROMPT,
    CommonParametersSerializer,
    ParametersSerializer,
    Text,
    Whole,
)
from webhooks.serializers import HookedSerializer

CLASSES = ["interactive", "background"]


class GenerateSerializer(HookedSerializer):
    """The body of POST /generate. `hook` in the validated data says who is to be called."""

    target_server_alias = Text(max_length=64, allow_blank=False)
    generation_params = ParametersSerializer()
    source_info = Text(max_length=200, required=False, default="")
    priority = Whole(
        min_value=1,
        max_value=10,
        default=5,
        help_text="The highest goes first; among equals, keys take turns.",
    )
    job_class = serializers.ChoiceField(
        choices=CLASSES,
        default="interactive",
        help_text="A background job waits until no interactive one does, whatever its priority.",
    )


class AxesSerializer(serializers.Serializer[Any]):
    """Values that parameters take one after the other: every combination, or in step."""

    mode = serializers.ChoiceField(choices=["grid", "zip"], default="grid")
    parameters = serializers.DictField(
        child=serializers.ListField(allow_empty=False, max_length=MAX_JOBS), allow_empty=False
    )

    def validate_parameters(self, parameters: dict[str, list[Any]]) -> dict[str, list[Any]]:
        known = ParametersSerializer().fields
        errors: dict[str, Any] = {}
        for name, values in parameters.items():
            if name not in known:
                errors[name] = ["There is no such parameter."]
                continue
            for index, value in enumerate(values):
                try:
                    values[index] = known[name].run_validation(value)
                except serializers.ValidationError as error:
                    errors.setdefault(name, {})[str(index)] = error.detail
        if errors:
            raise serializers.ValidationError(errors)
        return parameters

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        lengths = {len(values) for values in attrs["parameters"].values()}
        if attrs["mode"] == "zip" and len(lengths) > 1:
            raise serializers.ValidationError(
                {"parameters": ["In step, all must have the same number of values."]}
            )
        return attrs


class BulkSerializer(GenerateSerializer):
    """The body of POST /generate/bulk. `plan` in the validated data says how the jobs differ."""

    generation_params = CommonParametersSerializer(required=False, default=dict)
    name = Text(max_length=200, required=False, default="")
    bulk_quantity = Whole(min_value=1, max_value=MAX_JOBS, default=1)
    seed_variation = serializers.ChoiceField(
        choices=["random", "incremental"], default="incremental"
    )
    prompts = serializers.ListField(
        child=Text(max_length=MAX_PROMPT, allow_blank=False), max_length=MAX_JOBS, default=list
    )
    axes = serializers.ListField(child=AxesSerializer(), max_length=20, default=list)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        _check_names(attrs)
        plan = Plan(
            prompts=attrs["prompts"],
            axes=[Axes(axes["mode"], axes["parameters"]) for axes in attrs["axes"]],
            copies=attrs["bulk_quantity"],
            seed_variation=attrs["seed_variation"],
        )
        try:
            plan.check_count()
        except TooManyJobs as error:
            raise serializers.ValidationError({error.field: [str(error)]}) from error
        return {**attrs, "plan": plan}


def _check_names(attrs: dict[str, Any]) -> None:
    """Raise ValidationError where two fields would both set the same parameter."""
    names = [name for axes in attrs["axes"] for name in axes["parameters"]]
    sentence = ""
    if twice := {name for name in names if names.count(name) > 1}:
        sentence = f"{min(twice)} stands on two axes."
    elif attrs["prompts"] and {"prompt", "positive_prompt"} & set(names):
        sentence = "The prompt can't be an axis beside a list of prompts."
    elif attrs["seed_variation"] == "random" and "seed" in names:
        sentence = "The seed can't be an axis if every job draws one."
    if sentence:
        raise serializers.ValidationError({"axes": [sentence]})


class PageQuery(serializers.Serializer[Any]):
    """The query parameters of a list. A larger limit is clamped."""

    MAX_LIMIT = 500

    limit = serializers.IntegerField(min_value=0, default=MAX_LIMIT)
    offset = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    order = serializers.ChoiceField(choices=["asc", "desc"], default="desc")

    def validate_limit(self, limit: int) -> int:
        return min(limit, self.MAX_LIMIT)


class JobListQuery(PageQuery):
    """The query parameters of GET /queue/jobs."""

    status = serializers.ChoiceField(choices=Job.Status.choices, required=False)
    batch = serializers.UUIDField(required=False)


class MoveSerializer(serializers.Serializer[Any]):
    """The body of POST /queue/jobs/<id>/move: one of the three."""

    to = serializers.ChoiceField(choices=["front", "back"], required=False)
    before = serializers.UUIDField(required=False, help_text="Another job that waits.")
    after = serializers.UUIDField(required=False, help_text="Another job that waits.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError("Give one of to, before and after.")
        return attrs


class PlaceSerializer(serializers.Serializer[Any]):
    """The body of PATCH /queue/jobs/<id>: what may be changed of a job that waits."""

    priority = Whole(min_value=1, max_value=10, required=False)
    job_class = serializers.ChoiceField(choices=CLASSES, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError("Give a priority, a job_class, or both.")
        return attrs

    @property
    def verb_arguments(self) -> dict[str, Any]:
        """What was asked for, as `jobs.line.prioritise` takes it."""
        asked = dict(self.validated_data)
        job_class = asked.pop("job_class", None)
        return asked | ({"is_background": job_class == "background"} if job_class else {})


class PauseSerializer(serializers.Serializer[Any]):
    """The body of POST /queue/pause. It may be left out."""

    reason = Text(max_length=200, required=False, default="")


class RetryFailedSerializer(serializers.Serializer[Any]):
    """The body of POST /queue/retry-failed: which failed jobs. Without any, all."""

    server = Text(max_length=64, required=False, default="")
    error_code = Text(max_length=64, required=False, default="")
    batch = serializers.UUIDField(required=False, allow_null=True, default=None)


class PictureQuery(serializers.Serializer[Any]):
    """The query parameters of GET /outputs/<name>."""

    size = serializers.ChoiceField(
        choices=list(thumbnails.SIZES),
        required=False,
        help_text="A WebP of at most "
        + ", ".join(f"{side} pixels a side ({size})" for size, side in thumbnails.SIZES.items())
        + "; the picture itself while there is none.",
    )


def names_of(job_id: UUID) -> dict[str, str]:
    """A job's id under every name that a published client reads."""
    return dict.fromkeys(("stablequeue_job_id", "mobilesd_job_id", "job_id"), str(job_id))


def job_on_the_wire(job: Job) -> dict[str, Any]:
    """One job as every answer shows it."""
    phase = phases.of(job)
    slot = getattr(job, "slot", None)
    return {
        "stablequeue_job_id": str(job.id),
        "status": job.status,
        "creation_timestamp": _moment(job.created_at),
        "last_updated_timestamp": _moment(job.updated_at),
        "completion_timestamp": _moment(job.finished_at),
        "target_server_alias": job.target_alias,
        "forge_session_hash": job.task_id or None,
        "generation_params": job.parameters,
        "result_details": job.result,
        "retry_count": job.retry_count,
        "seed": job.seed,
        "phase": phase.word if phase else None,
        "reason": phase.reason if phase else None,
        "progress_percentage": _percentage(job, slot.progress if slot else 0),
        "preview_url": (
            previews.address_of(job.id) if phase and phase.word == "generating" else None
        ),
        "eta_seconds": slot.eta_seconds if slot else None,
        "errors": job.errors,
        "source_info": job.source_info or None,
        "batch_id": str(job.batch_id) if job.batch_id else None,
        "is_starred": job.is_starred,
        "priority": job.priority,
        "job_class": CLASSES[job.is_background],
    }


def job_in_full(job: Job) -> dict[str, Any]:
    """One job as an answer about it alone shows it: also with when its turn will be."""
    forecast = forecasts.of(job)
    end = forecast.end
    return {
        **job_on_the_wire(job),
        "queue_position": forecast.place,
        "estimated_start": span_on_the_wire(forecast.start),
        "estimated_end": span_on_the_wire(end),
        "estimated_time_remaining": None if end is None else round(end.expected, 1),
    }


def span_on_the_wire(span: Span | None) -> dict[str, str | None] | None:
    """An interval of time; None if nothing can be told."""
    if span is None:
        return None
    return {"earliest": _moment(span.earliest), "latest": _moment(span.latest)}


def queue_on_the_wire(queue: Queue) -> dict[str, Any]:
    """The queue as a whole."""
    jobs = Job.objects
    return {
        "is_paused": queue.is_paused,
        "reason": queue.reason or None,
        "paused_at": _moment(queue.paused_at),
        "pending": jobs.pending().count(),
        "processing": jobs.processing().count(),
    }


def submitted_batch_on_the_wire(submitted: SubmittedBatch) -> dict[str, Any]:
    """What the submitter of a batch is told."""
    return {
        "success": True,
        "batch_id": str(submitted.batch.id),
        "total_jobs": submitted.batch.total,
        "creation_timestamp": _moment(submitted.batch.created_at),
        "target_server_alias": submitted.server.alias,
        "jobs": [{**names_of(job_id), "seed": seed} for job_id, seed in submitted.jobs],
    }


def batch_on_the_wire(batch: Batch, tally: Tally) -> dict[str, Any]:
    """One batch as every later answer shows it."""
    return {
        "batch_id": str(batch.id),
        "name": batch.name,
        "creation_timestamp": _moment(batch.created_at),
        "total_jobs": tally.total,
        "counts": {**tally.by_status, "deleted": tally.deleted},
        "progress_percentage": round(100 * tally.fraction, 1),
        "is_finished": tally.alive == 0,
        "jobs_url": f"/api/v1/queue/jobs?batch={batch.id}&order=asc",
    }


def _percentage(job: Job, fraction: float) -> float:
    if job.status == Job.Status.COMPLETED:
        return 100.0
    if job.status != Job.Status.PROCESSING:
        return 0.0
    return round(100 * fraction, 1)


def _moment(moment: datetime | None) -> str | None:
    """UTC, milliseconds, Z."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
