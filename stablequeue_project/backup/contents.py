"""What an archive says it is, read and judged before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeGuard

from stablequeue_project.backup import layout, schema
from stablequeue_project.backup.errors import ArchiveDamaged, BackupError
from stablequeue_project.backup.layout import Part
from stablequeue_project.backup.reader import ArchiveReader, read_json
from stablequeue_project.backup.schema import Migration


@dataclass(frozen=True)
class Head:
    """The first word of an archive."""

    made_at: str
    version: str
    migrations: Sequence[Migration]
    tables: Mapping[str, Sequence[str]]
    """Columns by table."""


@dataclass(frozen=True)
class Contents:
    """A whole archive, found intact."""

    head: Head
    key: str
    jobs: int
    files: int
    missing: int
    bytes: int


def read_head(source: BinaryIO) -> Head:
    """Read the first word, and see that this version understands it.

    Raises ArchiveDamaged, and BackupError for one that is too new.
    """
    source.seek(0)
    for member in ArchiveReader(source).members():
        return _head(read_json(member))
    raise ArchiveDamaged("it is empty.")


def verify(source: BinaryIO) -> Contents:
    """Read all of it and compare every byte with its sums. Raises as `read_head` does."""
    head, key = read_head(source), ""
    source.seek(0)
    reader = ArchiveReader(source)
    files = 0
    for member in reader.members():
        if member.part is Part.KEY:
            key = member.content().decode(errors="replace")
        files += member.part in (Part.PICTURE, Part.INPUT)
    manifest = reader.manifest
    if manifest.get("files") != files:
        raise ArchiveDamaged("files are missing from it.")
    return Contents(
        head, key, _number(manifest, "jobs"), files, _number(manifest, "missing"), reader.bytes
    )


def _head(said: Mapping[str, Any]) -> Head:
    number = said.get("format")
    if not isinstance(number, int):
        raise ArchiveDamaged(f"{layout.HEAD} doesn't say what it is.")
    if number > layout.FORMAT:
        raise _too_new(f"format {number}")
    migrations, tables = said.get("migrations"), said.get("tables")
    if not (_is_list_of_names(migrations) and _is_columns_by_table(tables)):
        raise ArchiveDamaged(f"{layout.HEAD} doesn't say which tables it holds.")
    pairs = [(app, name) for app, name in migrations]
    if unknown := schema.unknown_here(pairs):
        raise _too_new(unknown)
    return Head(str(said.get("made_at")), str(said.get("version")), pairs, tables)


def _too_new(what: str) -> BackupError:
    return BackupError(
        "ARCHIVE_IS_NEWER",
        f"This backup was made by a newer StableQueue ({what} is unknown to this one). "
        "Install that version or a later one, then restore.",
    )


def _is_list_of_names(said: Any) -> TypeGuard[list[list[str]]]:
    return isinstance(said, list) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(name, str) for name in pair)
        for pair in said
    )


def _is_columns_by_table(said: Any) -> TypeGuard[dict[str, list[str]]]:
    return isinstance(said, dict) and all(
        isinstance(columns, list) and all(isinstance(name, str) for name in columns)
        for columns in said.values()
    )


def _number(manifest: Mapping[str, Any], name: str) -> int:
    number = manifest.get(name)
    if not isinstance(number, int):
        raise ArchiveDamaged(f"{layout.MANIFEST} doesn't say how many {name} there are.")
    return number
