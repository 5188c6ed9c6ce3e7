"""The rows of all tables, as PostgreSQL's COPY writes them: out of one snapshot, and in again."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence

from django.db import connection, transaction
from psycopg.sql import SQL, Composed, Identifier

from events import locks
from stablequeue_project.backup import layout
from stablequeue_project.backup.errors import ArchiveDamaged
from stablequeue_project.backup.reader import Member

Tables = Mapping[str, Sequence[str]]
"""Columns by table."""


@contextlib.contextmanager
def snapshot() -> Iterator[None]:
    """See, while this lasts, what was committed at one moment; hold nobody up but upgrades."""
    with connection.cursor() as cursor:
        # Before the snapshot: an upgrade that is under way ends first.
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [locks.MIGRATION])
        try:
            with transaction.atomic():
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [locks.MIGRATION])


def pieces(table: str, columns: Sequence[str]) -> Iterator[bytes]:
    """Yield the rows of a table in compressed pieces, each of bounded size."""
    waiting = bytearray()
    with connection.cursor() as cursor, cursor.copy(_copy(table, columns, "TO STDOUT")) as out:
        for row in out:
            waiting += row
            while len(waiting) >= layout.PIECE_BYTES:
                yield gzip.compress(waiting[: layout.PIECE_BYTES], compresslevel=6, mtime=0)
                del waiting[: layout.PIECE_BYTES]
    if waiting:
        yield gzip.compress(waiting, compresslevel=6, mtime=0)


def load(told: Tables, members: Iterator[Member]) -> None:
    """Fill the tables from `members`, which are their pieces in order. In a transaction.

    Nothing that was there before remains. Raises ArchiveDamaged.
    """
    with connection.cursor() as cursor:
        names = SQL(", ").join(map(Identifier, told))
        cursor.execute(SQL("TRUNCATE {}").format(names))
        # What refers to each other may come in any order.
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        for table in told:
            cursor.execute(SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(Identifier(table)))
    for table, its_pieces in _by_table(members):
        if table not in told:
            raise ArchiveDamaged(f"it has rows of {table!r} and doesn't say which columns.")
        copy = _copy(table, told[table], "FROM STDIN")
        with connection.cursor() as cursor, cursor.copy(copy) as into:
            for piece in its_pieces:
                into.write(_unpacked(piece))
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in told:
            cursor.execute(SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(Identifier(table)))


def _copy(table: str, columns: Sequence[str], direction: str) -> Composed:
    names = SQL(", ").join(map(Identifier, columns))
    return SQL("COPY {} ({}) {}").format(Identifier(table), names, SQL(direction))


def _by_table(members: Iterator[Member]) -> Iterator[tuple[str, Iterator[Member]]]:
    """Group the pieces by table. As with the members, each must be used before the next."""
    return itertools.groupby(members, key=lambda member: member.about)


def _unpacked(piece: Member) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    try:
        rows = unpacking.decompress(piece.content(), layout.PIECE_BYTES + 1)
    except zlib.error as error:
        raise ArchiveDamaged(f"{piece.name} cannot be unpacked.") from error
    if len(rows) > layout.PIECE_BYTES or not unpacking.eof:
        raise ArchiveDamaged(f"{piece.name} is larger than it may be.")
    return rows
