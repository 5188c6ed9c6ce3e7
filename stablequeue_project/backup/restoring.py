"""Putting a backup back, after all of it has been checked.

Files first, then the rows in one transaction: until that is committed, the database is as
it was, and a restore that was interrupted can be begun again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.core.management import call_command
from django.db import (
    DataError,
    IntegrityError,
    InternalError,
    ProgrammingError,
    connection,
    transaction,
)

from jobs import images, inputs
from jobs.models import Image, Input
from stablequeue_project.backup import contents, files, key, layout, rows, schema
from stablequeue_project.backup.contents import Contents, Head
from stablequeue_project.backup.errors import ArchiveDamaged, BackupError
from stablequeue_project.backup.layout import Part
from stablequeue_project.backup.reader import ArchiveReader, Member
from stablequeue_project.backup.turns import alone, while_nothing_runs

Tell = Callable[[str], None]
"""Shows a line of progress to the person who waits."""

_FILES_AT_A_TIME = 1_000
_PATIENCE_WITH_LOCKS = "10s"


def restore(source: BinaryIO, *, force: bool, tell: Tell) -> Contents:
    """Put back what `source`, which can be read twice, holds; returns what that was.

    With `force` what is there already is replaced. Raises BackupError before anything was
    changed, and OSError or BackupError when it cannot be carried out: the database is then
    as it was.
    """
    with alone(), while_nothing_runs():
        head = contents.read_head(source)
        _require_room(force=force)
        tell(f"checking the backup of {head.made_at}, made by StableQueue {head.version}")
        found = contents.verify(source)
        _require_space(found)
        with key.ready(found.key) as use_key:
            _put_back(source, head, found, tell)
            use_key()
        tell("bringing the database up to this version")
        call_command("migrate", interactive=False, verbosity=0)
    return found


def _require_room(*, force: bool) -> None:
    """Raise BackupError when something is there already that must not be replaced."""
    schema.applied()
    if force:
        return
    what = (table := schema.has_rows()) and f"the database has rows in {table}"
    for folder in (settings.OUTPUTS_DIR, settings.INPUTS_DIR):
        if files.holds_something(Path(folder)):
            what = what or f"there are files in {folder}"
    if what:
        raise BackupError(
            "NOT_EMPTY",
            f"This installation is not empty: {what}. Restore into an empty one, or replace all "
            "that the database holds with --force. Files of other names stay.",
        )


def _require_space(found: Contents) -> None:
    free = files.free_bytes(Path(settings.OUTPUTS_DIR))
    if found.bytes > free:
        raise BackupError(
            "DISK_TOO_SMALL",
            f"The backup holds {found.bytes / 1e9:.1f} GB and {settings.OUTPUTS_DIR} has room for "
            f"{free / 1e9:.1f} GB. Make room, then restore again.",
        )


def _put_back(source: BinaryIO, head: Head, found: Contents, tell: Tell) -> None:
    """Files and rows, or none of the rows. Raises as `restore` does."""
    try:
        with connection.wrap_database_errors, transaction.atomic():
            _load(source, head, found, tell)
            # All at once is much faster than one by one.
            os.sync()
    except (DataError, IntegrityError, InternalError, ProgrammingError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ArchiveDamaged(f"its rows do not fit its tables ({reason}).") from error


def _load(source: BinaryIO, head: Head, found: Contents, tell: Tell) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{_PATIENCE_WITH_LOCKS}'")
    schema.make_anew(head.migrations)
    schema.require(head.tables)
    source.seek(0)
    for part, members in groupby(ArchiveReader(source).members(), key=lambda member: member.part):
        if part is Part.ROWS:
            rows.load(head.tables, members)
            schema.continue_numbering()
            _require_harmless_names()
            tell(f"database: {len(head.tables)} tables, {found.jobs:,} jobs")
        elif part in (Part.PICTURE, Part.INPUT):
            _place_files(members, part, tell)


def _place_files(members: Iterator[Member], part: Part, tell: Tell) -> None:
    path_of = images.path_of if part is Part.PICTURE else inputs.path_of
    number = 0
    for number, member in enumerate(members, start=1):
        files.place(path_of(member.about), member.blocks(), int(member.modified))
        if number % _FILES_AT_A_TIME == 0:
            tell(f"{part.name.lower()}s: {number:,}")
    tell(f"{part.name.lower()}s: {number:,}")


def _require_harmless_names() -> None:
    """See that no row names a file elsewhere: rows are believed when files are shown or removed."""
    pictures = Image.objects.exclude(name__regex=f"^{layout.PICTURE_FILE}$")
    sent = Input.objects.exclude(sha256__regex=f"^{layout.INPUT_FILE}$")
    if pictures.exists() or sent.exists():
        raise ArchiveDamaged("its rows name a file by a name that is none.")
