"""Hashing the files of the folders that have no hashes yet, at low priority, the small ones first.

A hash belongs to a path, a size and a time: it is made again only when one of them changes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import BinaryIO

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from models_catalog import folders
from models_catalog.digests import Abandoned, Digests, digests_of
from models_catalog.examination import NO_BYTES
from models_catalog.models import FolderFile
from models_catalog.safe_files import open_inside
from models_catalog.safetensors_header import HeaderUnreadable, read_header

logger = logging.getLogger(__name__)

AT_ONCE = 500
"""Files that one turn takes up at most."""
MAX_BYTES = 256 * 1024**3
MOST_THREADS = 4
NICENESS = 15

_NEEDED = ("type", "root", "path", "size", "modified_ns", "autov3")

_hashing = threading.Lock()


def are_due() -> bool:
    """Whether any file has no hashes yet."""
    return FolderFile.objects.without_hashes().exists()


def hash_due(is_leaving: Callable[[], bool] = lambda: False) -> int:
    """Hash files for a while. Returns how many; the rest is left to the next call.

    When several wait, each processor takes one. `is_leaving` says whether this process has
    to end: what is half read then is read again by the next one.
    """
    if not _hashing.acquire(blocking=False):
        return 0
    try:
        due = FolderFile.objects.without_hashes().order_by("size", "id")
        rows = list(due.only(*_NEEDED)[:AT_ONCE])
        return _Turn(rows, is_leaving).hash_all()
    finally:
        _hashing.release()


class _Turn:
    """Some files to hash, by several threads, until time is up."""

    def __init__(self, rows: list[FolderFile], is_leaving: Callable[[], bool]) -> None:
        self._waiting: SimpleQueue[FolderFile] = SimpleQueue()
        for row in rows:
            self._waiting.put(row)
        self._threads = min(len(rows), len(os.sched_getaffinity(0)), MOST_THREADS)
        self._is_leaving = is_leaving
        self._ends = time.monotonic() + settings.HASH_TURN
        self._real = folders.real_paths()

    def hash_all(self) -> int:
        if not self._threads:
            return 0
        # Threads of their own, since what is nice once stays so.
        with ThreadPoolExecutor(self._threads, thread_name_prefix="hashing") as threads:
            return sum(threads.map(lambda _: self._hash_some(), range(self._threads)))

    def _hash_some(self) -> int:
        _be_nice()
        done = 0
        with contextlib.suppress(Empty, Abandoned), _own_connection():
            while not self._is_over():
                row = self._waiting.get_nowait()
                self._hash(row)
                done += 1
        return done

    def _is_over(self) -> bool:
        return self._is_leaving() or time.monotonic() > self._ends

    def _hash(self, row: FolderFile) -> None:
        same = FolderFile.objects.filter(pk=row.pk, size=row.size, modified_ns=row.modified_ns)
        try:
            made = self._digests(row)
        except FileNotFoundError:
            same.update(missing_since=Now())
        except OSError as error:
            same.update(hash_trouble=(error.strerror or str(error))[:200])
        else:
            same.update(sha256=made.sha256, autov1=made.autov1, autov3=made.autov3)

    def _digests(self, row: FolderFile) -> Digests:
        """Read the file. Raises OSError, Abandoned."""
        with open_inside(Path(row.root, row.path), self._real) as file:
            state = os.fstat(file.fileno())
            if (state.st_size, state.st_mtime_ns) != (row.size, row.modified_ns):
                raise OSError("it is being changed")
            if state.st_size > MAX_BYTES:
                raise OSError("it is too large")
            wanted = not row.autov3 and row.type == FolderFile.Type.LORA
            tensors_at = _tensors_at(file, row.size) if wanted else 0
            made = digests_of(file, tensors_at=tensors_at, is_over=self._is_leaving)
        autov3 = row.autov3 or made.autov3
        return replace(made, autov3="" if autov3 == NO_BYTES else autov3)


def _tensors_at(file: BinaryIO, size: int) -> int:
    """Where the tensors begin; 0 if it is no file with tensors that we can read."""
    try:
        return read_header(file, size).length
    except HeaderUnreadable:
        return 0


def _be_nice() -> None:
    """Leave the processor to others. On Linux this is a matter of the single thread."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


@contextlib.contextmanager
def _own_connection() -> Iterator[None]:
    """Give this thread's connection to the database back in the end."""
    try:
        yield
    finally:
        connection.close()
