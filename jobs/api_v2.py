"""The dialect of the extensions that were published for the first StableQueue, below /api/v2/.

What is said differently: a submit names its `app_type`, and may bring an infotext instead of
parameters; answers say `success`, and a job is wrapped. The verbs are those of v1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from events.idempotency import idempotent
from events.timestamps import utc_millis
from jobs import infotext, intake
from jobs.api import JobCancelView, JobListView, JobStatusView, JobView, accepted, key_of
from jobs.forecast import queue_position
from jobs.infotext_parameters import to_parameters
from jobs.parameters import MAX_UNKNOWN_TEXT, ParametersSerializer, Text
from jobs.serializers import (
    BulkSerializer,
    GenerateSerializer,
    names_of,
    submitted_batch_on_the_wire,
)

JOB_DELAY_IGNORED = "job_delay is ignored: each job starts as soon as its server is free."


class Dialect(serializers.Serializer[Any]):
    """What a submit may say beside what v1 knows. Comes before the v1 serializer as a base.

    Parameters that are sent count more than those of the infotext, which is kept with them as
    `raw_generation_info`. `warnings` in the validated data tells what of it was not understood.
    """

    app_type = serializers.ChoiceField(
        choices=["forge"], default="forge", allow_blank=True, allow_null=True
    )
    generation_info_raw = Text(max_length=MAX_UNKNOWN_TEXT, required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        warnings: list[str] = []
        raw = data.get("generation_info_raw") if isinstance(data, Mapping) else None
        if isinstance(raw, str) and raw.strip() and len(raw) <= MAX_UNKNOWN_TEXT:
            reading = to_parameters(infotext.parse(raw))
            warnings.extend(reading.warnings)
            sent = data.get("generation_params")
            if isinstance(sent, Mapping | None):
                parameters = {**reading.parameters, **(sent or {}), "raw_generation_info": raw}
                data = {**data, "generation_params": parameters}
        told = super().to_internal_value(data)
        return {**told, "app_type": told["app_type"] or "forge", "warnings": warnings}


class GenerateV2Serializer(Dialect, GenerateSerializer):
    """The body of POST /api/v2/generate."""

    generation_params = ParametersSerializer(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "generation_params" not in attrs:
            sentence = "Give parameters, or an infotext in generation_info_raw."
            raise serializers.ValidationError({"generation_params": [sentence]})
        validated: dict[str, Any] = super().validate(attrs)
        return validated


class BulkV2Serializer(Dialect, BulkSerializer):
    """The body of POST /api/v2/generate/bulk."""

    job_delay = serializers.JSONField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "job_delay" in attrs:
            attrs["warnings"].append(JOB_DELAY_IGNORED)
        return attrs


_GENERATE, _BULK = GenerateV2Serializer(), BulkV2Serializer()


class GenerateV2View(APIView):
    """POST /api/v2/generate: accept a job, and say when its turn will be."""

    access: ClassVar = "application"

    @idempotent()
    def post(self, request: Request) -> Response:
        asked = _GENERATE.run_validation(request.data)
        job = intake.submit_one(asked, key=key_of(request))
        return Response(
            {
                "success": True,
                **names_of(job.id),
                "queue_position": queue_position(job),
                "app_type": asked["app_type"],
                "creation_timestamp": utc_millis(job.created_at),
                "target_server_alias": job.target_alias,
                "seed": job.seed,
                "warnings": asked["warnings"],
            },
            status=accepted(job.source_info),
        )


class BulkV2View(APIView):
    """POST /api/v2/generate/bulk: accept many jobs at once, all or none."""

    access: ClassVar = "application"

    @idempotent()
    def post(self, request: Request) -> Response:
        asked = _BULK.run_validation(request.data)
        submitted = intake.submit_batch(asked, key=key_of(request))
        more = {"app_type": asked["app_type"], "warnings": asked["warnings"]}
        return Response(
            submitted_batch_on_the_wire(submitted) | more, status=accepted(asked["source_info"])
        )


class JobListV2View(JobListView):
    """GET /api/v2/jobs: jobs, newest first."""

    def get(self, request: Request) -> Response:
        return _successful(super().get(request))


class JobV2View(JobView):
    """DELETE /api/v2/jobs/<id>: remove a job with its pictures."""

    def delete(self, request: Request, job_id: str) -> Response:
        return _successful(super().delete(request, job_id))


class JobStatusV2View(JobStatusView):
    """GET /api/v2/jobs/<id>/status: one job, wrapped."""

    def get(self, request: Request, job_id: str) -> Response:
        job = super().get(request, job_id).data
        names = dict.fromkeys(("mobilesd_job_id", "job_id"), job["stablequeue_job_id"])
        return Response({"success": True, "job": {**job, **names}})


class JobCancelV2View(JobCancelView):
    """POST /api/v2/jobs/<id>/cancel: end a job that has not ended."""

    def post(self, request: Request, job_id: str) -> Response:
        return _successful(super().post(request, job_id))


def _successful(response: Response) -> Response:
    return Response({"success": True, **response.data}, status=response.status_code)
