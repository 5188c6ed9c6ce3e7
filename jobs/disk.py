"""Looking at the disks, and putting into words why nothing can be saved there.

Whoever has the folders looks (the chores) and keeps what was seen as a row; the dispatcher
reads the rows and admits nothing while one of them says so.
"""

from __future__ import annotations

import errno
import logging
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from events import log
from jobs import byte_sizes, images
from jobs.models import Disk

logger = logging.getLogger(__name__)

ROOM_TO_RECOVER = 1.1
"""So many times the least free space must be free again before admissions go on."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_GOES_ON = "The queue goes on by itself."

_looking = threading.Lock()


def pause() -> str:
    """Why nothing may be admitted to any server, in a sentence; empty if it may."""
    return next(iter(Disk.objects.reasons_to_hold()[:1]), "")


def look() -> None:
    """Look at both folders and keep what was seen.

    A folder that never answers (a network that is gone) keeps one thread waiting, not more.
    """
    if not _looking.acquire(blocking=False):
        return
    try:
        for folder in Disk.Folder:
            _look_at(folder)
    finally:
        _looking.release()


def note_refusal(error: OSError) -> None:
    """Keep that a worker could not save a picture: nothing is to be drawn meanwhile."""
    Disk.objects.update_or_create(
        folder=Disk.Folder.PICTURES,
        defaults={"refusal": sentence_of(error), "refused_at": Now()},
    )
    log.announce("storage.refused", "storage", Disk.Folder.PICTURES)


def sentence_of(error: OSError) -> str:
    """Why the pictures folder takes no picture, and what helps."""
    folder = Path(settings.OUTPUTS_DIR)
    if error.errno in _FULL:
        return f"The disk of the pictures ({folder}) is full. Free some space. {_GOES_ON}"
    if error.errno == errno.EROFS:
        return f"The pictures folder {folder} is read-only. Mount it for writing. {_GOES_ON}"
    if error.errno in _FORBIDDEN:
        return f"StableQueue may not write to the pictures folder {folder}. Mend its rights. " + (
            _GOES_ON
        )
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return (
            f"The pictures folder {folder} is not the one used before. Mount its disk, or put it "
            f"back. {_GOES_ON} If it is to be a new one, make a file named {images.MARK} in it."
        )
    problem = error.strerror or type(error).__name__
    return f"The pictures folder {folder} cannot be written ({problem}). {_GOES_ON}"


@dataclass(frozen=True)
class _Seen:
    free: int | None
    total: int | None
    reason: str


def _look_at(folder: Disk.Folder) -> None:
    was_low = Disk.objects.filter(folder=folder).exclude(reason="").exists()
    # Before the transaction, as it may take its time.
    seen = _see(folder, was_low=was_low)
    with transaction.atomic():
        Disk.objects.update_or_create(
            folder=folder,
            defaults={
                "free_bytes": seen.free,
                "total_bytes": seen.total,
                "reason": seen.reason,
                "seen_at": Now(),
            },
        )
        if was_low == bool(seen.reason):
            return
        kind = "storage.paused" if seen.reason else "storage.resumed"
        log.record([log.Change(kind, "storage", folder.value, {"reason": seen.reason})])
    logger.warning("%s: %s", kind, seen.reason or f"there is room again for the {folder}")


def _see(folder: Disk.Folder, *, was_low: bool) -> _Seen:
    is_pictures = folder == Disk.Folder.PICTURES
    try:
        if is_pictures:
            images.require_there()
        usage = shutil.disk_usage(_existing(settings.OUTPUTS_DIR if is_pictures else _inputs()))
    except OSError as error:
        return _Seen(None, None, sentence_of(error) if is_pictures else _inputs_trouble(error))
    needed = settings.MIN_FREE * (ROOM_TO_RECOVER if was_low else 1)
    low = usage.free < needed
    return _Seen(usage.free, usage.total, _low(folder, usage.free) if low else "")


def _inputs() -> Path:
    return Path(settings.INPUTS_DIR)


def _existing(folder: Path) -> Path:
    """The folder, or what is above it as long as it isn't made."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _inputs_trouble(error: OSError) -> str:
    problem = error.strerror or type(error).__name__
    return f"The folder of the input pictures, {_inputs()}, does not answer ({problem})."


def _low(folder: Disk.Folder, free: int) -> str:
    least = byte_sizes.in_words(settings.MIN_FREE)
    return (
        f"The disk of the {'pictures' if folder == Disk.Folder.PICTURES else 'input pictures'} has "
        f"only {byte_sizes.in_words(free)} left; below {least} nothing more is drawn. "
        f"Free some space. {_GOES_ON}"
    )
