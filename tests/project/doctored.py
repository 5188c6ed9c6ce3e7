"""Backups as somebody who means harm, or a bad disk, would hand them to us."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable

from stablequeue_project.backup import layout
from stablequeue_project.backup.writer import ArchiveWriter

HEAD = {"format": 1, "version": "0", "made_at": "now", "jobs": 0, "migrations": [], "tables": {}}


def small() -> bytes:
    """An intact archive that needs no database."""
    writer = ArchiveWriter(out := io.BytesIO())
    writer.add(layout.HEAD, json.dumps(HEAD).encode())
    writer.add(layout.KEY, b"k" * 64)
    writer.add(layout.rows_name("jobs_job", 1), gzip.compress(b"a row\n"))
    writer.add(layout.picture_name("a.png"), b"picture" * 300)
    writer.add(layout.input_name("0" * 64), b"input")
    writer.close({"jobs": 0, "files": 2})
    return out.getvalue()


def with_member(header: tarfile.TarInfo, content: bytes = b"") -> bytes:
    """An archive that goes on with another member after its key."""
    writer = ArchiveWriter(out := io.BytesIO())
    writer.add(layout.HEAD, json.dumps(HEAD).encode())
    writer.add(layout.KEY, b"k" * 64)
    header_block = header.tobuf(tarfile.GNU_FORMAT)
    return out.getvalue() + header_block + content + b"\0" * (-len(content) % 512) + b"\0" * 1024


def rewritten(archive: io.BytesIO, change: Callable[[str, bytes], bytes | None]) -> io.BytesIO:
    """The archive with other members, None for none, and sums that are true again."""
    writer = ArchiveWriter(out := io.BytesIO())
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            read = tar.extractfile(member)
            assert read is not None
            content = read.read()
            if member.name == layout.MANIFEST:
                said = json.loads(content)
                writer.close({name: said[name] for name in ("jobs", "files")})
            elif not member.name.startswith("SHA256SUMS"):
                changed = change(member.name, content)
                if changed is not None:
                    writer.add(member.name, changed)
    return out


def with_head(archive: io.BytesIO, **words: object) -> io.BytesIO:
    """The archive, saying something else of itself."""

    def change(name: str, content: bytes) -> bytes:
        return json.dumps(json.loads(content) | words).encode() if name == layout.HEAD else content

    return rewritten(archive, change)


def with_rows(archive: io.BytesIO, table: str, old: bytes, new: bytes) -> io.BytesIO:
    """The archive with other text in the rows of a table."""

    def change(name: str, content: bytes) -> bytes:
        if not name.startswith(f"database/{table}."):
            return content
        rows = gzip.decompress(content)
        assert old in rows
        return gzip.compress(rows.replace(old, new))

    return rewritten(archive, change)
