"""How much room everything takes, and how much is left: sums of rows, no walk over a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Sum

from jobs.models import Disk, Image, Input


@dataclass(frozen=True)
class Use:
    """Numbers of files and bytes; of the disks what was last seen."""

    pictures: int
    picture_bytes: int
    thumbnail_bytes: int
    inputs: int
    input_bytes: int
    disks: list[Disk]


def now() -> Use:
    """Add everything up."""
    made: dict[str, Any] = Image.objects.aggregate(
        count=Count("id"), bytes=Sum("bytes"), thumbnails=Sum("thumbnail_bytes")
    )
    sent: dict[str, Any] = Input.objects.aggregate(count=Count("sha256"), bytes=Sum("bytes"))
    return Use(
        pictures=made["count"],
        picture_bytes=made["bytes"] or 0,
        thumbnail_bytes=made["thumbnails"] or 0,
        inputs=sent["count"],
        input_bytes=sent["bytes"] or 0,
        disks=list(Disk.objects.order_by("-folder")),
    )
