"""Making a backup: the rows of one moment, then the files that those rows name.

Everything may go on meanwhile. What is submitted or drawn later is not in it; what is
deleted later may be missing from it, which is noted and no error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import connection

import stablequeue_project
from jobs import images, inputs
from jobs.models import Image, Input, Job
from stablequeue_project.backup import layout, rows, schema
from stablequeue_project.backup.errors import BackupError
from stablequeue_project.backup.turns import alone
from stablequeue_project.backup.writer import ArchiveWriter

Tell = Callable[[str], None]
"""Shows a line of progress to the person who waits."""

_FILES_AT_A_TIME = 1_000


@dataclass(frozen=True)
class Made:
    """What a backup holds."""

    jobs: int
    files: int
    missing: int
    bytes: int


def make(out: BinaryIO, tell: Tell) -> Made:
    """Write a backup to `out`, which may be a pipe.

    Raises BackupError, and OSError when a file cannot be read or `out` refuses.
    """
    writer = ArchiveWriter(out)
    with alone():
        with rows.snapshot():
            about = _write_rows(writer, tell)
            wanted = Image.objects.count() + Input.objects.count()
            _remember_the_files()
        before = writer.members
        for name, path in _files():
            writer.add_file(name, path)
            done = writer.members - before + writer.missing
            if done % _FILES_AT_A_TIME == 0 or done == wanted:
                tell(f"files: {done:,} of {wanted:,}")
    files = writer.members - before
    writer.close({**about, "files": files})
    return Made(about["jobs"], files, writer.missing, writer.bytes)


def _write_rows(writer: ArchiveWriter, tell: Tell) -> dict[str, Any]:
    """Write what says what this is, the key and all rows; returns what to say of it."""
    migrations = schema.applied()
    tables = schema.tables()
    if not migrations or Job._meta.db_table not in tables:
        raise BackupError(
            "NOTHING_TO_BACK_UP", "The database has no tables yet: there is nothing to back up."
        )
    made_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    about = {
        "format": layout.FORMAT,
        "version": stablequeue_project.__version__,
        "made_at": made_at,
        "jobs": Job.objects.count(),
    }
    head = {**about, "migrations": migrations, "tables": tables}
    writer.add(layout.HEAD, json.dumps(head, indent=2).encode())
    writer.add(layout.KEY, settings.SECRET_KEY.encode())
    tell(f"database: {len(tables)} tables, {about['jobs']:,} jobs")
    for table, columns in tables.items():
        for number, piece in enumerate(rows.pieces(table, columns), start=1):
            writer.add(layout.rows_name(table, number), piece)
    return about


def _remember_the_files() -> None:
    """Keep the names of the snapshot's files for later; Postgres does, beyond the transaction."""
    pictures, sent = Image._meta.db_table, Input._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"DECLARE files_to_back_up NO SCROLL CURSOR WITH HOLD FOR "  # noqa: S608
            f"SELECT 1 AS kind, name FROM {pictures} UNION ALL SELECT 2, sha256 FROM {sent} "
            f"ORDER BY kind, name"
        )


def _files() -> Iterator[tuple[str, Path]]:
    """Yield the remembered files: their names in the archive and where they lie."""
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"FETCH {_FILES_AT_A_TIME} FROM files_to_back_up")
            found = cursor.fetchall()
            for kind, file in found:
                yield _picture(file) if kind == 1 else _input(file)
            if not found:
                cursor.execute("CLOSE files_to_back_up")
                return


def _picture(file: str) -> tuple[str, Path]:
    return _named(layout.picture_name(file)), images.path_of(file)


def _input(file: str) -> tuple[str, Path]:
    return _named(layout.input_name(file)), inputs.path_of(file)


def _named(name: str) -> str:
    if layout.part_of(name) is None:
        raise BackupError(
            "FILE_NAME_UNUSABLE",
            f"The database names a file {name!r}, which cannot be put back by that name. "
            "Delete its job first.",
        )
    return name
