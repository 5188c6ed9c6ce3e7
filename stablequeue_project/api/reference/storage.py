"""The operations on what is kept, and the room it takes."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from events.timestamps import UtcMillis
from jobs.models import Disk
from jobs.storage_serializers import KeepRuleSerializer
from stablequeue_project.api.reference.operation import Chapter, Operation


class Counted(serializers.Serializer[Any]):
    """Files and the bytes they take."""

    count = serializers.IntegerField()
    bytes = serializers.IntegerField()


class Taken(serializers.Serializer[Any]):
    """The bytes that files take."""

    bytes = serializers.IntegerField()


class Used(serializers.Serializer[Any]):
    """What takes room."""

    pictures = Counted()
    thumbnails = Taken()
    inputs = Counted()


class ShownDisk(serializers.Serializer[Any]):
    """A folder's disk, as it was last seen."""

    folder = serializers.ChoiceField(Disk.Folder.choices)
    free_bytes = serializers.IntegerField(allow_null=True)
    total_bytes = serializers.IntegerField(allow_null=True)
    seen_at = UtcMillis(allow_null=True)


class ShownStorage(KeepRuleSerializer):
    """What is kept, what that takes, and how much room is left."""

    used = Used()
    missing_pictures = serializers.IntegerField(
        help_text="Pictures whose file was gone when last looked for."
    )
    free_bytes = serializers.IntegerField(
        allow_null=True, help_text="On the disk of the pictures; null if it can't be told."
    )
    min_free_bytes = serializers.IntegerField(
        help_text="With less on any disk, no job is started (`STABLEQUEUE_MIN_FREE`)."
    )
    disks = ShownDisk(many=True)
    admission_paused = serializers.BooleanField(
        help_text="Whether no job is started because of a disk."
    )
    reason = serializers.CharField(allow_null=True, help_text="Why, as a sentence.")


STORAGE = Chapter(
    "Storage",
    "Pictures are kept for ever, unless a bound on their age or on the room they take is set. What "
    "is removed then are ended jobs with their pictures, the oldest first; jobs with a star stay.",
    {
        "GET /api/v1/settings/storage": Operation(
            id="read_storage",
            summary="Read the storage settings, and how much room there is",
            answer=ShownStorage,
        ),
        "PUT /api/v1/settings/storage": Operation(
            id="set_storage",
            summary="Set how long ended jobs are kept",
            description="Both have to be told. What is to go is removed within minutes, some at a "
            "time; a job that has just ended is safe from the bound on size for ten minutes.",
            body=KeepRuleSerializer,
            answer=ShownStorage,
        ),
    },
)
