"""Small versions of the pictures, as WebP, beside them in a folder of their own.

They are made after a job completed, by a child process that may die of a picture, and can
be made again at any time.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from imaging import making
from jobs.models import Image

logger = logging.getLogger(__name__)

FOLDER = ".thumbnails"
SIZES = making.SIZES
CONTENT_TYPE = making.CONTENT_TYPE
AT_ONCE = 20

_making = threading.Lock()


def path_of(name: str, size: str) -> Path:
    """Where the thumbnail of this size (a key of SIZES) of a picture lies, once it is made."""
    return folder_of(size) / f"{name}.webp"


def folder_of(size: str) -> Path:
    return Path(settings.OUTPUTS_DIR) / FOLDER / size


def are_due() -> bool:
    """Whether any are to be made now."""
    return _due().exists()


def make_due() -> int:
    """Make thumbnails of some of the pictures that lack them, the newest first.

    Returns of how many pictures. One at a time in a process: it takes a whole processor.
    """
    if not _making.acquire(blocking=False):
        return 0
    try:
        pictures = list(_due().order_by("-id")[:AT_ONCE])
        answers = _ask_child(pictures)
    finally:
        _making.release()
    for picture, answer in zip(pictures, answers, strict=False):
        _keep(picture, answer)
    return sum("bytes" in answer for answer in answers)


def make_again(name: str) -> None:
    """Have those of a picture made anew, since their files are gone."""
    Image.objects.filter(name=name, thumbnails_due_at=None, thumbnail_bytes__gt=0).update(
        thumbnail_bytes=0, thumbnails_due_at=Now()
    )


def remove(names: Iterable[str]) -> None:
    """Take away those of pictures. What cannot be removed now is left to the sweep."""
    for name in names:
        for size in SIZES:
            with contextlib.suppress(OSError):
                path_of(name, size).unlink()


def _due() -> QuerySet[Image]:
    return Image.objects.filter(thumbnails_due_at__lte=Now())


def _keep(picture: Image, answer: dict[str, Any]) -> None:
    row = Image.objects.filter(pk=picture.pk)
    if "bytes" in answer:
        if not row.update(thumbnail_bytes=answer["bytes"], thumbnails_due_at=None):
            # The picture was deleted meanwhile.
            remove([picture.name])
    elif "spoiled" in answer:
        logger.warning("no thumbnails of %s: %s", picture.name, answer["spoiled"])
        row.update(thumbnails_due_at=None)
    else:
        logger.info("thumbnails of %s have to wait: %s", picture.name, answer["storage"])
        row.update(thumbnails_due_at=Now() + timedelta(seconds=settings.THUMBNAILS_WAIT))


def _ask_child(pictures: Sequence[Image]) -> list[dict[str, Any]]:
    """The maker's answers, in order; the last one is about the picture that it died of."""
    return making.make(
        [
            making.Order(
                Path(settings.OUTPUTS_DIR) / picture.name,
                {path_of(picture.name, size): side for size, side in SIZES.items()},
            )
            for picture in pictures
        ]
    )
