"""The operations of the older dialect."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from events.timestamps import UtcMillis
from jobs.api_v2 import BulkV2Serializer, GenerateV2Serializer
from jobs.serializers import JobListQuery
from servers.serializers import ServerSerializer
from stablequeue_project.api.reference.batches import AcceptedBatch
from stablequeue_project.api.reference.jobs import (
    ONE_CLIENT,
    AcceptedJob,
    ChangedJob,
    Done,
    JobInFull,
    ShownJobs,
)
from stablequeue_project.api.reference.operation import Chapter, Operation
from stablequeue_project.api.reference.shared import IDEMPOTENCY_KEY


class AcceptedJobV2(AcceptedJob):
    """An accepted job, and when its turn will be."""

    success = serializers.BooleanField()
    queue_position = serializers.IntegerField(
        help_text="Its place among those that wait for its server; the next one has 1."
    )
    app_type = serializers.CharField()
    creation_timestamp = UtcMillis()
    target_server_alias = serializers.CharField()
    seed = serializers.IntegerField()
    warnings = serializers.ListField(
        child=serializers.CharField(), help_text="What was not understood, in sentences."
    )


class AcceptedBatchV2(AcceptedBatch):
    """An accepted batch."""

    app_type = serializers.CharField()
    warnings = serializers.ListField(child=serializers.CharField())


class ShownJobV2(JobInFull):
    """A job, with its id under all names."""

    mobilesd_job_id = serializers.UUIDField(help_text="The same id.")
    job_id = serializers.UUIDField(help_text="The same id.")


class WrappedJobV2(serializers.Serializer[Any]):
    """A job, wrapped."""

    success = serializers.BooleanField()
    job = ShownJobV2()


class ShownJobsV2(ShownJobs):
    """A page of jobs."""

    success = serializers.BooleanField()


class ChangedJobV2(ChangedJob):
    """A job just cancelled."""

    success = serializers.BooleanField()


class DoneV2(Done):
    """What was done."""

    success = serializers.BooleanField()


DIALECT = Chapter(
    "Older dialect",
    "What the extensions published for the first StableQueue speak. New programs use v1.",
    {
        "POST /api/v2/generate": Operation(
            id="submit_job_v2",
            summary="Submit a job",
            description="Takes `generation_params`, or in `generation_info_raw` the infotext that "
            "WebUIs write into their pictures, or both: then the former count more.",
            body=GenerateV2Serializer,
            status=202,
            answer=AcceptedJobV2,
            more_answers=ONE_CLIENT,
            errors=("SERVER_NOT_FOUND", "STORAGE_UNAVAILABLE", "TOO_MANY_WAITING"),
            made={"job_id": "/job_id"},
            headers=(IDEMPOTENCY_KEY,),
        ),
        "POST /api/v2/generate/bulk": Operation(
            id="submit_batch_v2",
            summary="Submit a batch",
            description="As in v1; what differs is what differs for one job. `job_delay` is "
            "accepted and ignored.",
            body=BulkV2Serializer,
            status=202,
            answer=AcceptedBatchV2,
            more_answers=ONE_CLIENT,
            errors=("SERVER_NOT_FOUND", "STORAGE_UNAVAILABLE", "TOO_MANY_WAITING"),
            made={"batch_id": "/batch_id"},
            headers=(IDEMPOTENCY_KEY,),
        ),
        "GET /api/v2/jobs": Operation(
            id="list_jobs_v2",
            summary="List jobs",
            query=JobListQuery,
            answer=ShownJobsV2,
            errors=("VALIDATION_FAILED",),
        ),
        "GET /api/v2/jobs/{job_id}/status": Operation(
            id="read_job_v2",
            summary="Read a job",
            answer=WrappedJobV2,
            errors=("JOB_NOT_FOUND",),
        ),
        "POST /api/v2/jobs/{job_id}/cancel": Operation(
            id="cancel_job_v2",
            summary="Cancel a job",
            answer=ChangedJobV2,
            errors=("JOB_NOT_FOUND", "JOB_OPERATION_INVALID"),
        ),
        "DELETE /api/v2/jobs/{job_id}": Operation(
            id="delete_job_v2",
            summary="Delete a job and its pictures",
            answer=DoneV2,
            errors=("JOB_NOT_FOUND",),
        ),
        "GET /api/v2/servers": Operation(
            id="list_servers_v2",
            summary="List the servers",
            description="A bare array here too.",
            answer=ServerSerializer(many=True),
        ),
    },
)
