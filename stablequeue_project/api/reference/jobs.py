"""The operations on jobs and their pictures."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from events.timestamps import UtcMillis
from jobs.models import Job
from jobs.serializers import (
    CLASSES,
    GenerateSerializer,
    JobListQuery,
    MoveSerializer,
    PictureQuery,
    PlaceSerializer,
    RetryFailedSerializer,
)
from stablequeue_project.api.reference.operation import Chapter, Operation
from stablequeue_project.api.reference.shared import IDEMPOTENCY_KEY


class AcceptedJob(serializers.Serializer[Any]):
    """The id of an accepted job, under the three names that clients know it by."""

    stablequeue_job_id = serializers.UUIDField()
    mobilesd_job_id = serializers.UUIDField(help_text="The same id.")
    job_id = serializers.UUIDField(help_text="The same id.")


class FailedAttempt(serializers.Serializer[Any]):
    """Why an attempt failed."""

    code = serializers.CharField()
    message = serializers.CharField()
    at = UtcMillis()
    attempt = serializers.IntegerField()
    server = serializers.CharField()


class ShownJob(serializers.Serializer[Any]):
    """A job."""

    stablequeue_job_id = serializers.UUIDField()
    status = serializers.ChoiceField(Job.Status.choices)
    creation_timestamp = UtcMillis()
    last_updated_timestamp = UtcMillis()
    completion_timestamp = UtcMillis(allow_null=True, help_text="When it ended, however it did.")
    target_server_alias = serializers.CharField()
    forge_session_hash = serializers.CharField(
        allow_null=True, help_text="The name of the latest attempt's task in Forge."
    )
    generation_params = serializers.DictField(
        help_text="What was asked for; pictures are shown as `{sha256, bytes, url}`."
    )
    result_details = serializers.DictField(
        allow_null=True,
        help_text="Of a completed job `images` (names below `/outputs/`), `info` and "
        "`generation_info`; of a failed one `error` and `message`.",
    )
    retry_count = serializers.IntegerField()
    seed = serializers.IntegerField(help_text="The seed it is drawn with, also if none was given.")
    phase = serializers.CharField(
        allow_null=True, help_text="What exactly a job that has not ended is doing or waiting for."
    )
    reason = serializers.CharField(allow_null=True, help_text="The phase as a sentence.")
    progress_percentage = serializers.FloatField()
    preview_url = serializers.CharField(allow_null=True)
    eta_seconds = serializers.FloatField(allow_null=True)
    errors = FailedAttempt(many=True)  # type: ignore[assignment]  # a field, not the complaints
    source_info = serializers.CharField(allow_null=True)
    batch_id = serializers.UUIDField(allow_null=True, help_text="Of the batch it belongs to.")
    is_starred = serializers.BooleanField(help_text="Whether it is spared by retention.")
    priority = serializers.IntegerField(help_text="From 1 to 10; the highest goes first.")
    job_class = serializers.ChoiceField(
        CLASSES, help_text="Background jobs go when no interactive one waits."
    )


class Span(serializers.Serializer[Any]):
    """An interval in which something is expected."""

    earliest = UtcMillis()
    latest = UtcMillis()


class JobInFull(ShownJob):
    """A job, and when its turn will be."""

    queue_position = serializers.IntegerField(
        allow_null=True,
        help_text="Of a job that waits: its place among those that wait for its server; the next "
        "one has 1.",
    )
    estimated_start = Span(
        allow_null=True,
        help_text="Null unless it only waits for its turn on a server whose speed is known: one "
        "that has drawn something.",
    )
    estimated_end = Span(allow_null=True)
    estimated_time_remaining = serializers.FloatField(
        allow_null=True, help_text="Seconds until it is done, in the middle of that interval."
    )


class ShownJobs(serializers.Serializer[Any]):
    """A page of jobs."""

    total = serializers.IntegerField(help_text="Of all jobs that match, not just this page's.")
    jobs = ShownJob(many=True)


class ChangedJob(serializers.Serializer[Any]):
    """What was done, and the job."""

    message = serializers.CharField()
    job = ShownJob()


class RetriedJob(serializers.Serializer[Any]):
    """A job that was put back in line."""

    message = serializers.CharField()
    job = ShownJob()


class RetriedJobs(serializers.Serializer[Any]):
    """How many jobs were put back in line."""

    success = serializers.BooleanField()
    message = serializers.CharField()
    retried = serializers.IntegerField()
    left = serializers.IntegerField()


class Done(serializers.Serializer[Any]):
    """What was done."""

    message = serializers.CharField()


_ID = {"job_id": "/stablequeue_job_id"}

ONE_CLIENT = {200: "The same, where `source_info` is `civitai_browser_plus`: it knows no 202."}

JOBS = Chapter(
    "Jobs",
    "A job is one requested generation. It waits, is drawn by its server, and keeps its pictures.",
    {
        "POST /api/v1/generate": Operation(
            id="submit_job",
            summary="Submit a job",
            description="The answer comes at once; the job is kept until it ended, whatever "
            "happens to a process or a machine. Unknown fields of `generation_params` are kept and "
            "shown, but not sent to Forge. A checkpoint's path may be written with slashes or "
            "backslashes, whole or from the checkpoints folder on.",
            body=GenerateSerializer,
            status=202,
            answer=AcceptedJob,
            more_answers=ONE_CLIENT,
            errors=("SERVER_NOT_FOUND", "STORAGE_UNAVAILABLE", "TOO_MANY_WAITING"),
            example="generate",
            made=_ID,
            headers=(IDEMPOTENCY_KEY,),
        ),
        "GET /api/v1/queue/jobs": Operation(
            id="list_jobs",
            summary="List jobs",
            description="The newest first, unless `order` says otherwise.",
            query=JobListQuery,
            answer=ShownJobs,
            errors=("VALIDATION_FAILED",),
            example="job-list",
        ),
        "GET /api/v1/queue/jobs/{job_id}/status": Operation(
            id="read_job",
            summary="Read a job",
            answer=JobInFull,
            errors=("JOB_NOT_FOUND",),
            example="job-status",
        ),
        "POST /api/v1/queue/jobs/{job_id}/cancel": Operation(
            id="cancel_job",
            summary="Cancel a job",
            description="Once this is answered, no picture of the job appears any more.",
            answer=ChangedJob,
            errors=("JOB_NOT_FOUND", "JOB_OPERATION_INVALID"),
            example="job-cancel",
        ),
        "DELETE /api/v1/queue/jobs/{job_id}": Operation(
            id="delete_job",
            summary="Delete a job and its pictures",
            description="A job that has not ended is cancelled first. Pictures that were sent "
            "along go with it, unless another job uses them.",
            answer=Done,
            errors=("JOB_NOT_FOUND",),
            example="job-delete",
        ),
        "PATCH /api/v1/queue/jobs/{job_id}": Operation(
            id="change_job",
            summary="Change the priority or class of a job that waits",
            body=PlaceSerializer,
            answer=ChangedJob,
            errors=("JOB_NOT_FOUND", "JOB_OPERATION_INVALID", "VALIDATION_FAILED"),
        ),
        "POST /api/v1/queue/jobs/{job_id}/move": Operation(
            id="move_job",
            summary="Move a job that waits",
            description="With `to` it goes to the `front`, before all that wait for its server "
            "whatever their priority, or to the `back`, behind all of its priority. With `before` "
            "or `after` it goes next to another job and takes over its priority and class. Among "
            "jobs of one priority a loaded checkpoint may still let some go before others; the "
            "front is exact.",
            body=MoveSerializer,
            answer=ChangedJob,
            errors=("JOB_NOT_FOUND", "JOB_OPERATION_INVALID", "JOBS_APART", "VALIDATION_FAILED"),
        ),
        "POST /api/v1/queue/jobs/{job_id}/run-now": Operation(
            id="run_job_now",
            summary="Let a job that waits go first, even if all is paused",
            description="It is started as soon as its server has drawn what it draws, also while "
            "the queue or the server is paused. What is off, held or removed still draws nothing.",
            answer=ChangedJob,
            errors=("JOB_NOT_FOUND", "JOB_OPERATION_INVALID"),
        ),
        "POST /api/v1/queue/jobs/{job_id}/retry": Operation(
            id="retry_job",
            summary="Retry a failed or cancelled job",
            description="It waits in its old place and has all its tries anew: `retry_count` "
            "begins at 0 again, while its attempts are counted on and `errors` is kept.",
            answer=RetriedJob,
            errors=("JOB_NOT_FOUND", "JOB_OPERATION_INVALID"),
        ),
        "POST /api/v1/queue/retry-failed": Operation(
            id="retry_failed_jobs",
            summary="Retry failed jobs",
            description="All of them or, with a body, those of one server (by its alias), with "
            "one error (as in `result_details.error`) or of one batch. At most 1,000 at once; "
            "`left` says how many that match are still failed.",
            body=RetryFailedSerializer,
            answer=RetriedJobs,
            errors=("SERVER_NOT_FOUND", "BATCH_NOT_FOUND", "VALIDATION_FAILED"),
        ),
        "POST /api/v1/queue/jobs/{job_id}/star": Operation(
            id="star_job",
            summary="Star a job",
            description="Its pictures are spared by what the storage settings remove.",
            answer=ChangedJob,
            errors=("JOB_NOT_FOUND",),
        ),
        "DELETE /api/v1/queue/jobs/{job_id}/star": Operation(
            id="unstar_job",
            summary="Take the star from a job",
            answer=ChangedJob,
            errors=("JOB_NOT_FOUND",),
        ),
        "GET /outputs/{name}": Operation(
            id="read_picture",
            summary="Get a picture",
            description="Byte for byte as Forge made it. The names are those in a completed job's "
            "`result_details.images`. With `size` a small version, made soon after the job ended.",
            query=PictureQuery,
            media=("image/png", "image/webp"),
            errors=("VALIDATION_FAILED", "IMAGE_NOT_FOUND"),
        ),
        "GET /api/v1/queue/jobs/{job_id}/preview": Operation(
            id="read_job_preview",
            summary="Get the newest preview of a job that is being drawn",
            description="Forge shows the first one after some steps, and newer ones from time to "
            "time. `preview_url` of the job's status is this address while there may be one.",
            media=("image/png", "image/jpeg", "image/webp"),
            errors=("PREVIEW_NOT_FOUND", "JOB_NOT_FOUND"),
        ),
        "GET /api/v1/inputs/{sha256}": Operation(
            id="read_input",
            summary="Get a picture that a client sent along",
            media=("image/png", "image/jpeg", "image/webp"),
            errors=("INPUT_NOT_FOUND",),
        ),
    },
)
