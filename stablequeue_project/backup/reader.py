"""Reading a backup that anybody may have made, member by member, believing nothing.

Only plain files with names of our own are let through; what a tar may hold beside them
(links, devices, sparse files, extended headers) is refused. Memory is bounded, whatever
the archive says.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO

from stablequeue_project.backup import layout
from stablequeue_project.backup.errors import ArchiveDamaged
from stablequeue_project.backup.layout import Part

_BLOCK = tarfile.BLOCKSIZE
_READ_BYTES = 1024 * 1024


class Member:
    """One member: what it is, and its bytes, which can be read once."""

    def __init__(self, source: BinaryIO, header: tarfile.TarInfo, part: Part, about: str) -> None:
        self.name = header.name
        self.part = part
        self.about = about
        """The table or the file that its name names."""
        self.size = header.size
        self.modified = header.mtime
        self._source = source
        self._left = header.size
        self._digest = hashlib.sha256()

    def blocks(self) -> Iterator[bytes]:
        """Read it piece by piece. Raises ArchiveDamaged when the archive ends before."""
        while self._left:
            block = _exactly(self._source, min(self._left, _READ_BYTES))
            self._left -= len(block)
            self._digest.update(block)
            yield block

    def content(self) -> bytes:
        """Read it whole; only for the parts that are small."""
        return b"".join(self.blocks())

    def finish(self) -> str:
        """Skip what was not read, and return the SHA-256 of all of it."""
        for _ in self.blocks():
            pass
        _exactly(self._source, -self.size % _BLOCK)
        return self._digest.hexdigest()


class ArchiveReader:
    """Goes through an archive once, from its beginning."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._lines: list[str] = []
        self._sums = 0
        self._digest_of_sums = hashlib.sha256()
        self._members = 0
        self.bytes = 0
        self.manifest: dict[str, Any] = {}
        """The archive's last word about itself; empty until it was read and found true."""

    def members(self) -> Iterator[Member]:
        """Yield what is kept, in order; each must be used before the next is asked for.

        Raises ArchiveDamaged as soon as something is not as it was written. All is well
        only when this has come to its end.
        """
        before: Part | None = None
        while not self.manifest:
            member = self._next()
            if member.part is Part.SUMS and before:
                self._check_sums(member)
                continue
            _require_order(before, member.part, member.name)
            before = member.part
            if member.part is Part.MANIFEST:
                self._check_manifest(member)
            else:
                yield member
                self._note(member)

    def _next(self) -> Member:
        block = _exactly(self._source, _BLOCK)
        try:
            header = tarfile.TarInfo.frombuf(block, "ascii", "strict")
        except (tarfile.HeaderError, UnicodeError) as error:
            raise ArchiveDamaged("a part of it cannot be read.") from error
        kind = layout.part_of(header.name)
        if kind is None or header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise ArchiveDamaged(f"it holds {header.name!r}, which is not for us.")
        part, about = kind
        if not 0 <= header.size <= part.most_bytes:
            raise ArchiveDamaged(f"{header.name} says it has {header.size} bytes.")
        return Member(self._source, header, part, about)

    def _note(self, member: Member) -> None:
        self._lines.append(f"{member.finish()}  {member.name}\n")
        self._members += 1
        self.bytes += member.size
        if len(self._lines) > layout.FILES_PER_SUMS:
            raise ArchiveDamaged("the sums of its files are not where they should be.")

    def _check_sums(self, member: Member) -> None:
        self._sums += 1
        text = member.content()
        member.finish()
        self._digest_of_sums.update(text)
        said = text.decode(errors="replace").splitlines(keepends=True)
        said = [line for line in said if not line.startswith(layout.MISSING_MARK)]
        if member.name != layout.sums_name(self._sums) or said != self._lines:
            known = set(said)
            wrong = next((ours for ours in self._lines if ours not in known), "")
            what = wrong.partition("  ")[2].strip() or "a file"
            raise ArchiveDamaged(f"{what} is not what was written, or not in its place.")
        self._lines.clear()

    def _check_manifest(self, member: Member) -> None:
        manifest = read_json(member)
        member.finish()
        found = {
            "members": self._members,
            "bytes": self.bytes,
            "sums": self._sums,
            "sha256_of_sums": self._digest_of_sums.hexdigest(),
        }
        if self._lines or any(manifest.get(name) != value for name, value in found.items()):
            raise ArchiveDamaged("parts of it are missing.")
        self.manifest = manifest


def _require_order(before: Part | None, part: Part, name: str) -> None:
    """Raise ArchiveDamaged unless `part` may follow: each kind comes once, in one order."""
    kinds = list(Part)
    if before is None:
        follows = part is Part.HEAD
    elif before is Part.HEAD:
        follows = part is Part.KEY
    else:
        follows = kinds.index(part) >= kinds.index(before) and part is not Part.KEY
    if not follows:
        raise ArchiveDamaged(f"{name} is not where it should be.")


def read_json(member: Member) -> dict[str, Any]:
    """Return the object in a small member. Raises ArchiveDamaged."""
    try:
        content = json.loads(member.content())
    except (ValueError, RecursionError) as error:
        raise ArchiveDamaged(f"{member.name} cannot be read.") from error
    if not isinstance(content, dict):
        raise ArchiveDamaged(f"{member.name} cannot be read.")
    return content


def _exactly(source: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, from a file or a pipe. Raises ArchiveDamaged at the end."""
    blocks = b""
    while len(blocks) < size:
        block = source.read(size - len(blocks))
        if not block:
            raise ArchiveDamaged("it ends in the middle.")
        blocks += block
    return blocks
