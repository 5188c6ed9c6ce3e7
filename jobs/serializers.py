"""The job on the wire. The contract's names stand here and nowhere deeper."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rest_framework import serializers

from jobs import phases
from jobs.models import Job
from jobs.parameters import ParametersSerializer, Text


class GenerateSerializer(serializers.Serializer[Any]):
    """The body of POST /generate."""

    target_server_alias = Text(max_length=64, allow_blank=False)
    generation_params = ParametersSerializer()
    source_info = Text(max_length=200, required=False, default="")


class JobListQuery(serializers.Serializer[Any]):
    """The query parameters of GET /queue/jobs. A larger limit is clamped."""

    MAX_LIMIT = 500

    status = serializers.ChoiceField(choices=Job.Status.choices, required=False)
    limit = serializers.IntegerField(min_value=0, default=MAX_LIMIT)
    offset = serializers.IntegerField(min_value=0, max_value=2**31 - 1, default=0)
    order = serializers.ChoiceField(choices=["asc", "desc"], default="desc")

    def validate_limit(self, limit: int) -> int:
        return min(limit, self.MAX_LIMIT)


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
        "eta_seconds": slot.eta_seconds if slot else None,
        "errors": job.errors,
        "source_info": job.source_info or None,
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
