"""The operations on the queue as a whole."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from events.timestamps import UtcMillis
from jobs.serializers import PauseSerializer
from stablequeue_project.api.reference.operation import Chapter, Operation


class ShownQueue(serializers.Serializer[Any]):
    """The queue as a whole."""

    is_paused = serializers.BooleanField()
    reason = serializers.CharField(allow_null=True, help_text="As told by who paused it.")
    paused_at = UtcMillis(allow_null=True)
    pending = serializers.IntegerField(help_text="Jobs that wait, on all servers.")
    processing = serializers.IntegerField()


QUEUE = Chapter(
    "Queue",
    "Each server draws one job at a time. Next is the one with the highest priority; among equals "
    "the keys that have jobs waiting take turns, and a job whose checkpoint is loaded may go "
    "before others, up to 50 of them or for 10 minutes (`STABLEQUEUE_OVERTAKE_JOBS`, "
    "`STABLEQUEUE_OVERTAKE_SECONDS`). A pause of the queue outlives every restart.",
    {
        "GET /api/v1/queue": Operation(
            id="read_queue",
            summary="Read whether the queue is paused, and how much waits",
            answer=ShownQueue,
        ),
        "POST /api/v1/queue/pause": Operation(
            id="pause_queue",
            summary="Start no further job on any server",
            description="What is being drawn is finished. Waiting jobs show the `reason`, and each "
            "can be run all the same by run-now.",
            body=PauseSerializer,
            answer=ShownQueue,
            errors=("VALIDATION_FAILED",),
        ),
        "POST /api/v1/queue/resume": Operation(
            id="resume_queue",
            summary="Let jobs be started again",
            answer=ShownQueue,
        ),
    },
)
