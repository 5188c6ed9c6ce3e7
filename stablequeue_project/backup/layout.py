"""What lies in a backup under which name, and how large it may be. Pure.

    stablequeue.json          what this is: format, version, time, migrations, tables
    secret.key                opens the passwords that are sealed in the database
    database/<table>.<n>.gz   the rows, as PostgreSQL's COPY writes them, in pieces
    pictures/<name>           the pictures that were made
    inputs/<sha256>           the pictures that clients sent
    SHA256SUMS.<n>            of what stands before it; files that were gone, as comments
    manifest.json             the end: how many there are of everything

It is an ordinary tar: `tar -xf` unpacks it and `cat SHA256SUMS.* | sha256sum -c` checks it.
"""

from __future__ import annotations

import re
from enum import Enum

FORMAT = 1

HEAD = "stablequeue.json"
KEY = "secret.key"
MANIFEST = "manifest.json"

PIECE_BYTES = 4 * 1024 * 1024
"""Of a table's rows, before they are compressed: what is in memory at a time."""
FILES_PER_SUMS = 10_000
MISSING_MARK = "# missing: "

PICTURE_FILE = "[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""A file's name that begins with no dot and has no folder in it: it leads nowhere else."""
INPUT_FILE = "[0-9a-f]{64}"

_MB = 1024 * 1024


class Part(Enum):
    """A kind of member: its names, and how many bytes it may have."""

    HEAD = (re.escape(HEAD), _MB)
    KEY = (re.escape(KEY), 4096)
    ROWS = (r"database/(?P<table>[a-z][a-z0-9_]{0,62})\.\d{6}\.gz", 2 * PIECE_BYTES)
    PICTURE = (rf"pictures/(?P<file>{PICTURE_FILE})", 4096 * _MB)
    INPUT = (rf"inputs/(?P<file>{INPUT_FILE})", 4096 * _MB)
    SUMS = (r"SHA256SUMS\.\d{6}", 8 * _MB)
    MANIFEST = (re.escape(MANIFEST), _MB)

    def __init__(self, pattern: str, most_bytes: int) -> None:
        self.pattern = re.compile(pattern)
        self.most_bytes = most_bytes


def part_of(name: str) -> tuple[Part, str] | None:
    """The kind of member with this name, and the table or file it names; None for any other."""
    for part in Part:
        if match := part.pattern.fullmatch(name):
            return part, next(iter(match.groups()), "")
    return None


def rows_name(table: str, number: int) -> str:
    return f"database/{table}.{number:06}.gz"


def sums_name(number: int) -> str:
    return f"SHA256SUMS.{number:06}"


def picture_name(file: str) -> str:
    return f"pictures/{file}"


def input_name(file: str) -> str:
    return f"inputs/{file}"
