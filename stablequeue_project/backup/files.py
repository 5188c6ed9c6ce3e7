"""The archive's own file, and the files it is put back to."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from stablequeue_project.backup.errors import BackupError


class Draft:
    """A file for its owner only, that has its name only once it is published, complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.partial")
        self._draft.unlink(missing_ok=True)
        descriptor = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.file = os.fdopen(descriptor, "wb")

    def sync(self) -> None:
        """Have all that was written on disk."""
        self.file.flush()
        os.fsync(self.file.fileno())

    def publish(self) -> None:
        """Take the name, whatever had it before."""
        self._draft.replace(self._path)
        sync_folder(self._path.parent)

    def discard(self) -> None:
        """Leave nothing behind of what was not published."""
        with contextlib.suppress(OSError):
            self.file.close()
        self._draft.unlink(missing_ok=True)


@contextlib.contextmanager
def draft_of(path: Path) -> Iterator[Draft]:
    """Begin a file; it is gone again unless it was published. Raises OSError."""
    draft = Draft(path)
    try:
        yield draft
    finally:
        draft.discard()


@contextlib.contextmanager
def readable_twice(name: str, spool: Path) -> Iterator[BinaryIO]:
    """Open a file, or keep what comes on standard input (`-`) for the moment in folder `spool`.

    Raises OSError, and BackupError for what is no plain file.
    """
    if name == "-":
        with tempfile.TemporaryFile(dir=spool) as kept:
            shutil.copyfileobj(sys.stdin.buffer, kept, 1024 * 1024)
            kept.seek(0)
            yield kept
        return
    # A pipe without a writer would be waited for.
    with open(os.open(name, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BackupError("NOT_A_FILE", f"{name} is no file.")
        yield file


def place(path: Path, blocks: Iterable[bytes], modified: int) -> None:
    """Put a file in its place, complete, whatever was there before. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with draft_of(path) as draft:
        for block in blocks:
            draft.file.write(block)
        draft.file.flush()
        os.utime(draft.file.fileno(), (modified, modified))
        draft.publish()


def holds_something(folder: Path) -> bool:
    """Whether there is anything in a folder but what is hidden."""
    with contextlib.suppress(FileNotFoundError):
        return any(not entry.name.startswith(".") for entry in folder.iterdir())
    return False


def free_bytes(folder: Path) -> int:
    """The room left where `folder` is, or will be made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on disk. Some network drives cannot be asked to."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
