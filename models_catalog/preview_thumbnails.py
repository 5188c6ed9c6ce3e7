"""Small versions of the previews of model files, as WebP, in a folder of our own data.

They are made after a scan, and can be made again at any time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings

from imaging import making
from models_catalog.models import FolderFile
from models_catalog.preview_files import Preview, open_preview

logger = logging.getLogger(__name__)

FOLDER = "model-thumbnails"
AT_ONCE = 20
"""Files whose previews are shrunk together."""
MOST = 4
"""Previews of one file that get small versions."""

_making = threading.Lock()


def path_of(file_id: int, index: int, size: str) -> Path:
    """Where the thumbnail of this size (a key of `making.SIZES`) lies, once it is made."""
    return _folder() / size / f"{file_id}-{index}.webp"


def are_due() -> bool:
    """Whether any are to be made."""
    return FolderFile.objects.without_thumbnails().exists()


def make_due() -> int:
    """Make those of some files. Returns of how many pictures. One at a time in a process."""
    if not _making.acquire(blocking=False):
        return 0
    try:
        files = list(FolderFile.objects.without_thumbnails().order_by("id")[:AT_ONCE])
        _folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="work-", dir=_folder()) as copies:
            orders = [order for file in files for order in _orders(file, Path(copies))]
            made = _make_all(orders)
        for file in files:
            # Not if the scan has found other previews meanwhile.
            FolderFile.objects.filter(pk=file.pk, beside=file.beside).update(thumbnails_due=False)
        return made
    finally:
        _making.release()


def open_small(file: FolderFile, index: int, size: str | None) -> Preview | None:
    """Return a small version. None if none is wanted, or there is none yet."""
    if size is None or index >= min(len(file.previews), MOST):
        return None
    try:
        content = path_of(file.pk, index, size).open("rb")
    except OSError:
        make_again(file.pk)
        return None
    state = os.fstat(content.fileno())
    etag = f'"{file.pk}-{index}-{size}-{state.st_mtime_ns}"'
    return Preview(content, making.CONTENT_TYPE, etag)


def make_again(file_id: int) -> None:
    """Have those of a file made anew, since their files are gone."""
    FolderFile.objects.filter(pk=file_id).update(thumbnails_due=True)


def remove(file_ids: Iterable[int]) -> None:
    """Take away those of files that are known no more."""
    for file_id in file_ids:
        for size in making.SIZES:
            for index in range(MOST):
                path_of(file_id, index, size).unlink(missing_ok=True)


def _orders(file: FolderFile, copies: Path) -> Iterable[making.Order]:
    """Copy a file's previews to where nobody changes them, for the child to read."""
    for index in range(min(len(file.previews), MOST)):
        targets = {path_of(file.pk, index, size): side for size, side in making.SIZES.items()}
        for target in targets:
            target.unlink(missing_ok=True)
        found = open_preview(file, index)
        if found is None:
            continue
        copy = copies / f"{file.pk}-{index}"
        with found.content, copy.open("wb") as file_of_ours, contextlib.suppress(OSError):
            shutil.copyfileobj(found.content, file_of_ours)
            yield making.Order(copy, targets)


def _make_all(orders: list[making.Order]) -> int:
    """Carry out the orders; one that kills the maker is passed over. Returns how many were made."""
    made = 0
    while orders:
        answers = making.make(orders)
        made += sum("bytes" in answer for answer in answers)
        for order, answer in zip(orders, answers, strict=False):
            if "bytes" not in answer:
                logger.info("no thumbnail of preview %s: %s", order.source.name, answer)
        orders = orders[len(answers) :]
    return made


def _folder() -> Path:
    return Path(settings.DATA_DIR) / FOLDER
