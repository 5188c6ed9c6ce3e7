"""The operations on many jobs at once."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from events.timestamps import UtcMillis
from jobs.models import Job
from jobs.serializers import BulkSerializer, PageQuery
from stablequeue_project.api.reference.jobs import ONE_CLIENT, AcceptedJob, Span
from stablequeue_project.api.reference.operation import Chapter, Operation
from stablequeue_project.api.reference.shared import IDEMPOTENCY_KEY


class AcceptedJobOfBatch(AcceptedJob):
    """One job of an accepted batch."""

    seed = serializers.IntegerField(help_text="The seed it is drawn with.")


class AcceptedBatch(serializers.Serializer[Any]):
    """An accepted batch."""

    success = serializers.BooleanField()
    batch_id = serializers.UUIDField()
    total_jobs = serializers.IntegerField()
    creation_timestamp = UtcMillis()
    target_server_alias = serializers.CharField()
    jobs = AcceptedJobOfBatch(many=True, help_text="In the order in which they are drawn.")


class Counts(serializers.Serializer[Any]):
    """How many jobs of a batch have which status, and how many were deleted."""

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        return {name: serializers.IntegerField() for name in (*Job.Status.values, "deleted")}


class ShownBatch(serializers.Serializer[Any]):
    """How far a batch is."""

    batch_id = serializers.UUIDField()
    name = serializers.CharField(allow_blank=True)
    creation_timestamp = UtcMillis()
    total_jobs = serializers.IntegerField(help_text="As many as were submitted.")
    counts = Counts()
    progress_percentage = serializers.FloatField()
    is_finished = serializers.BooleanField(help_text="Whether all of its jobs have ended.")
    jobs_url = serializers.CharField(help_text="Where its jobs are listed, in their order.")


class BatchInFull(ShownBatch):
    """How far a batch is, and when its last job will be done."""

    estimated_end = Span(
        allow_null=True, help_text="Of its last job that waits or runs, see that of a job."
    )


class ShownBatches(serializers.Serializer[Any]):
    """A page of batches."""

    total = serializers.IntegerField(help_text="Of all batches, not just this page's.")
    batches = ShownBatch(many=True)


class CancelledBatch(serializers.Serializer[Any]):
    """A batch just cancelled."""

    success = serializers.BooleanField()
    message = serializers.CharField()
    cancelled = serializers.IntegerField(help_text="How many jobs had not ended yet.")
    batch = ShownBatch()


BATCHES = Chapter(
    "Batches",
    "A batch is up to 1,000 jobs submitted by one request, all or none of them.",
    {
        "POST /api/v1/generate/bulk": Operation(
            id="submit_batch",
            summary="Submit a batch",
            description="The jobs have `generation_params` in common and differ by `prompts`, by "
            "`axes` and in their seeds; all combinations are drawn, with the prompts as the "
            "outermost loop, then the axes as they are sent (the last parameter of a grid changes "
            "fastest), then `bulk_quantity` copies. An axis in the mode `grid` crosses the values "
            "of its parameters, in the mode `zip` they change in step. Copy number i has the "
            "seed + i, so that prompts and places on the axes compare; if no seed is given, one is "
            "drawn for the batch. With `seed_variation` set to `random` every job draws its own.",
            body=BulkSerializer,
            status=202,
            answer=AcceptedBatch,
            more_answers=ONE_CLIENT,
            errors=("SERVER_NOT_FOUND", "STORAGE_UNAVAILABLE", "TOO_MANY_WAITING"),
            made={"batch_id": "/batch_id"},
            headers=(IDEMPOTENCY_KEY,),
        ),
        "GET /api/v1/batches": Operation(
            id="list_batches",
            summary="List batches",
            description="The newest first, unless `order` says otherwise.",
            query=PageQuery,
            answer=ShownBatches,
            errors=("VALIDATION_FAILED",),
        ),
        "GET /api/v1/batches/{batch_id}": Operation(
            id="read_batch",
            summary="Read how far a batch is",
            answer=BatchInFull,
            errors=("BATCH_NOT_FOUND",),
        ),
        "POST /api/v1/batches/{batch_id}/cancel": Operation(
            id="cancel_batch",
            summary="Cancel what has not ended of a batch",
            description="Once this is answered, no further picture of the batch appears.",
            answer=CancelledBatch,
            errors=("BATCH_NOT_FOUND",),
        ),
    },
)
