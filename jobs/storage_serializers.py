"""Storage on the wire."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from events.timestamps import utc_millis
from jobs import disk, retention, storage_use, sweep
from jobs.models import Disk
from jobs.parameters import Whole

MAX_DAYS = 36_500
MIN_KEEP_BYTES = 1024 * 1024
MAX_KEEP_BYTES = 2**53 - 1
"""What every client can read as a number."""


class KeepRuleSerializer(serializers.Serializer[Any]):
    """The body of PUT /settings/storage."""

    keep_days = Whole(
        min_value=1,
        max_value=MAX_DAYS,
        allow_null=True,
        help_text="Days after which an ended job is removed; null is never.",
    )
    keep_bytes = Whole(
        min_value=MIN_KEEP_BYTES,
        max_value=MAX_KEEP_BYTES,
        allow_null=True,
        help_text="Bytes that pictures and thumbnails may take before the oldest jobs are "
        "removed; null is any number.",
    )


def storage_on_the_wire() -> dict[str, Any]:
    """What is kept, what that takes, and how much room is left."""
    kept, use, paused = retention.rule(), storage_use.now(), disk.pause()
    of_pictures = next((seen for seen in use.disks if seen.folder == Disk.Folder.PICTURES), None)
    return {
        "keep_days": kept.keep_days,
        "keep_bytes": kept.keep_bytes,
        "used": {
            "pictures": {"count": use.pictures, "bytes": use.picture_bytes},
            "thumbnails": {"bytes": use.thumbnail_bytes},
            "inputs": {"count": use.inputs, "bytes": use.input_bytes},
        },
        "missing_pictures": sweep.missing_pictures(),
        "free_bytes": of_pictures.free_bytes if of_pictures else None,
        "min_free_bytes": settings.MIN_FREE,
        "disks": [_disk_on_the_wire(seen) for seen in use.disks],
        "admission_paused": bool(paused),
        "reason": paused or None,
    }


def _disk_on_the_wire(seen: Disk) -> dict[str, Any]:
    return {
        "folder": seen.folder,
        "free_bytes": seen.free_bytes,
        "total_bytes": seen.total_bytes,
        "seen_at": utc_millis(seen.seen_at) if seen.seen_at else None,
    }
