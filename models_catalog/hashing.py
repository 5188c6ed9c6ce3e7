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
from typing import Any, BinaryIO

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from models_catalog import folders
from models_catalog.digests import Abandoned, Digests, digests_of
from models_catalog.examination import NO_BYTES
from models_catalog.models import FolderFile, Scan
from models_catalog.safe_files import open_inside
from models_catalog.safetensors_header import HeaderUnreadable, read_header

logger = logging.getLogger(__name__)

AT_ONCE = 100
"""Files taken up together; between two such lots a scan may begin."""
MAX_BYTES = 256 * 1024**3
MOST_THREADS = 4
NICENESS = 15
WRITTEN_EVERY = 0.5
"""Seconds of results that are written together, and lost together with the process."""

_Result = dict[str, Any]

_NEEDED = ("type", "root", "path", "size", "modified_ns", "autov3")

_hashing = threading.Lock()


def are_due() -> bool:
    """Whether any file has no hashes yet, and no scan is on its way to find more."""
    is_found = FolderFile.objects.without_hashes().exists()
    return is_found and not Scan.objects.unfinished().exists()


def hash_due(is_leaving: Callable[[], bool] = lambda: False) -> int:
    """Hash files for a while. Returns how many; the rest is left to the next call.

    When several wait, each processor takes one. `is_leaving` says whether this process has
    to end: what is half read then is read again by the next one.
    """
    if not _hashing.acquire(blocking=False):
        return 0
    try:
        return _Turn(is_leaving).hash_all()
    finally:
        _hashing.release()


class _Turn:
    """A while of hashing, by several threads. It ends by time, or when a scan is to begin."""

    def __init__(self, is_leaving: Callable[[], bool]) -> None:
        self._waiting: SimpleQueue[FolderFile] = SimpleQueue()
        self._is_leaving = is_leaving
        self._ends = time.monotonic() + settings.HASH_TURN
        self._real = folders.real_paths()

    def hash_all(self) -> int:
        done = 0
        while not self._is_over() and are_due():
            due = FolderFile.objects.without_hashes().order_by("size", "id")
            count = 0
            for row in due.only(*_NEEDED)[:AT_ONCE]:
                self._waiting.put(row)
                count += 1
            # Threads of their own, since what is nice once stays so.
            threads = min(count, len(os.sched_getaffinity(0)), MOST_THREADS)
            with ThreadPoolExecutor(threads or 1, thread_name_prefix="hashing") as pool:
                done += sum(pool.map(lambda _: self._hash_some(), range(threads)))
            self._waiting = SimpleQueue()
        return done

    def _hash_some(self) -> int:
        """Take files until none waits. Returns how many were hashed."""
        _be_nice()
        done = 0
        results: list[tuple[FolderFile, _Result]] = []
        written_at = time.monotonic()
        with _own_connection():
            with contextlib.suppress(Empty, Abandoned):
                while not self._is_over():
                    row = self._waiting.get_nowait()
                    results.append((row, self._hash(row)))
                    done += 1
                    if time.monotonic() - written_at >= WRITTEN_EVERY:
                        _write(results)
                        written_at = time.monotonic()
            _write(results)
        return done

    def _is_over(self) -> bool:
        return self._is_leaving() or time.monotonic() > self._ends

    def _hash(self, row: FolderFile) -> _Result:
        """Return what is to be written into the file's row. Raises Abandoned."""
        try:
            made = self._digests(row)
        except FileNotFoundError:
            return {"missing_since": Now()}
        except OSError as error:
            return {"hash_trouble": (error.strerror or str(error))[:200]}
        return {"sha256": made.sha256, "autov1": made.autov1, "autov3": made.autov3}

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


def _write(results: list[tuple[FolderFile, _Result]]) -> None:
    """Keep results, and empty the list. What belongs to other bytes by now is dropped."""
    with transaction.atomic():
        for row, values in results:
            same = FolderFile.objects.filter(pk=row.pk, size=row.size, modified_ns=row.modified_ns)
            same.update(**values)
    results.clear()


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
