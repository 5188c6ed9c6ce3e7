"""Looking through the folders: what is new, what has changed, what is gone.

A file whose size and time are the same, and beside which nothing changed, is not opened.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from models_catalog import folders, preview_thumbnails, scans
from models_catalog.examination import Neighbours, examine, stamp_of
from models_catalog.folders import Folder, FoundFile, Root
from models_catalog.models import FolderFile, FolderFileQuerySet, Scan

logger = logging.getLogger(__name__)

AT_ONCE = 100
"""Files whose rows are read and written together."""
WORD_EVERY = 0.5
"""Seconds between two words on how far it is."""
MISSING_KEPT = timedelta(days=90)
"""How long a file that is gone keeps its id and its hashes."""
MOST_UNLISTED = 50

_KEY = ("root", "path", "type")
_OF_THE_BYTES = ("sha256", "autov1", "autov3", "hash_trouble")
_COLUMNS = [
    column.name
    for column in FolderFile._meta.concrete_fields
    if column.name not in {"id", *_KEY, *_OF_THE_BYTES}
]

_scanning = threading.Lock()


def scan(is_leaving: Callable[[], bool] = lambda: False) -> Scan | None:
    """Look through the folders, if that is due. Returns the scan, or None.

    A folder that never answers (a network that is gone) keeps one thread waiting, not more.
    `is_leaving` says whether this process has to end; the scan is then left to the next one.
    """
    if not _scanning.acquire(blocking=False):
        return None
    try:
        begun = scans.begin()
        if begun is not None:
            _Scanner(begun, is_leaving).run()
            begun.refresh_from_db()
        return begun
    finally:
        _scanning.release()


class _Leaving(Exception):
    """This process has to end."""


class _Scanner:
    """One scan, and what it has met."""

    def __init__(self, scan: Scan, is_leaving: Callable[[], bool]) -> None:
        self._scan = scan
        self._is_leaving = is_leaving
        self._tally = scans.Tally()
        self._real = folders.real_paths()
        self._told_at = 0.0

    def run(self) -> None:
        try:
            for root in folders.roots():
                self._look_through(root)
        except _Leaving:
            scans.give_back(self._scan)
            return
        except scans.ScanOver:
            scans.end(self._scan, self._tally, Scan.State.STOPPED)
            return
        self._miss_other_roots()
        old = Now() - MISSING_KEPT
        forgotten = FolderFile.objects.filter(missing_since__lt=old)
        preview_thumbnails.remove(list(forgotten.values_list("id", flat=True)))
        forgotten.delete()
        # What could not be hashed before is tried again now.
        FolderFile.objects.exclude(hash_trouble="").update(hash_trouble="")
        scans.end(self._scan, self._tally, Scan.State.FINISHED)

    def _look_through(self, root: Root) -> None:
        present: set[int] = set()
        unlisted: list[str] = []
        for folder in folders.walk(root, self._tally.leave_out, unlisted):
            self._tally.folder = str(folder.path)
            neighbours = Neighbours(folder)
            self._tell()
            for begin in range(0, len(folder.models), AT_ONCE):
                some = folder.models[begin : begin + AT_ONCE]
                present |= self._compare(folder, some, neighbours)
        self._miss(root, present, unlisted)

    def _tell(self) -> None:
        if self._is_leaving():
            raise _Leaving
        if time.monotonic() - self._told_at >= WORD_EVERY:
            scans.tell(self._scan, self._tally)
            self._told_at = time.monotonic()

    def _compare(
        self, folder: Folder, some: Sequence[FoundFile], neighbours: Neighbours
    ) -> set[int]:
        """Compare files with their rows, and bring these up to date. Returns the rows' ids."""
        paths = [f"{folder.below}{found.name}" for found in some]
        known = _rows(folder.root).filter(path__in=paths).only(*_WITH_WHICH_TO_COMPARE)
        rows = {row.path: row for row in known}
        fresh: list[FolderFile] = []
        beside_changed: list[FolderFile] = []
        present: set[int] = set()
        for path, found in zip(paths, some, strict=True):
            self._tell()
            beside = neighbours.of(found.name)
            row = rows.get(path)
            if row is not None and row.missing_since is None and _is_as(row, found, beside):
                self._tally.seen += 1
                present.add(row.pk)
                continue
            now = self._examine(folder, found, beside)
            if now is None:
                continue
            self._tally.seen += 1
            self._tally.added += row is None
            self._tally.changed += row is not None
            has_same_bytes = row is not None and _has_bytes_of(row, found)
            (beside_changed if has_same_bytes else fresh).append(now)
        _save(fresh, [*_COLUMNS, *_OF_THE_BYTES])
        _save(beside_changed, _COLUMNS)
        return present | {row.pk for row in (*fresh, *beside_changed)}

    def _examine(
        self, folder: Folder, found: FoundFile, beside: dict[str, FoundFile]
    ) -> FolderFile | None:
        """The row of a file as it is now. None if it is gone, or nobody can make sense of it."""
        try:
            return examine(folder, found, beside, self._real)
        except FileNotFoundError:
            return None
        except Exception:
            # Whatever a file may be: the others are to be found.
            logger.exception("the scan passes over %r", found.name)
            self._tally.leave_out(f"{found.name!r} in {folder.path} cannot be understood.")
            return None

    def _miss(self, root: Root, present: set[int], unlisted: Sequence[str]) -> None:
        """Note which files of a folder are gone. Of a part that was not seen nothing is said."""
        if len(unlisted) > MOST_UNLISTED:
            return
        unseen = Q()
        for below in unlisted:
            unseen |= Q(path__startswith=below)
        rows = _rows(root).present()
        rows = rows.exclude(unseen) if unlisted else rows
        gone = [pk for pk in rows.values_list("id", flat=True).iterator() if pk not in present]
        FolderFile.objects.filter(pk__in=gone).update(missing_since=Now())
        self._tally.missing += len(gone)

    def _miss_other_roots(self) -> None:
        """Note that folders which the settings name no more are ours no more."""
        ours = Q(pk__in=[])
        for root in folders.roots():
            ours |= Q(root=str(root.path), type=root.type)
        others = FolderFile.objects.present().exclude(ours)
        self._tally.missing += others.update(missing_since=Now())


_WITH_WHICH_TO_COMPARE = ("path", "size", "modified_ns", "beside", "missing_since")


def _rows(root: Root) -> FolderFileQuerySet:
    return FolderFile.objects.filter(root=str(root.path), type=root.type)


def _has_bytes_of(row: FolderFile, found: FoundFile) -> bool:
    return (row.size, row.modified_ns) == (found.size, found.modified_ns)


def _is_as(row: FolderFile, found: FoundFile, beside: dict[str, FoundFile]) -> bool:
    return _has_bytes_of(row, found) and row.beside == stamp_of(found, beside)


def _save(rows: Iterable[FolderFile], columns: Sequence[str]) -> None:
    with transaction.atomic():
        FolderFile.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=_KEY, update_fields=columns
        )
