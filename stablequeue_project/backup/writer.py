"""Writing a backup's members, one after another, with their sums."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from stablequeue_project.backup import layout

_BLOCK = tarfile.BLOCKSIZE
_READ_BYTES = 1024 * 1024


class ArchiveWriter:
    """A tar that is written from front to end, to a file or a pipe, in bounded memory.

    All methods raise OSError when `out` refuses.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._now = int(time.time())
        self._lines: list[str] = []
        self._sums = 0
        self._digest_of_sums = hashlib.sha256()
        self.members = 0
        self.missing = 0
        self.bytes = 0

    def add(self, name: str, content: bytes) -> None:
        """Write a member that is in memory."""
        self._begin(name, len(content), self._now)
        self._out.write(content)
        self._end(name, len(content), hashlib.sha256(content).hexdigest())

    def add_file(self, name: str, path: Path) -> None:
        """Write the file `path` as a member; one that is gone is noted as missing.

        A file that is removed meanwhile is still read to its end. Raises OSError too when
        it cannot be read, or becomes shorter.
        """
        try:
            file = path.open("rb")
        except FileNotFoundError:
            self._note_missing(name)
            return
        with file:
            status = os.fstat(file.fileno())
            self._begin(name, status.st_size, int(status.st_mtime))
            digest = hashlib.sha256()
            for block in _blocks(file, status.st_size):
                digest.update(block)
                self._out.write(block)
        self._end(name, status.st_size, digest.hexdigest())

    def close(self, about: Mapping[str, Any]) -> None:
        """Write the manifest, with `about` and the numbers of this archive, and the tar's end."""
        self._write_sums()
        manifest = {
            **about,
            "members": self.members,
            "missing": self.missing,
            "bytes": self.bytes,
            "sums": self._sums,
            "sha256_of_sums": self._digest_of_sums.hexdigest(),
        }
        self._write_plain(layout.MANIFEST, json.dumps(manifest, indent=2).encode())
        self._out.write(b"\0" * (2 * _BLOCK))
        self._out.flush()

    def _note_missing(self, name: str) -> None:
        self.missing += 1
        self._note(f"{layout.MISSING_MARK}{name}\n")

    def _begin(self, name: str, size: int, modified: int) -> None:
        header = tarfile.TarInfo(name)
        header.size, header.mtime, header.mode = size, modified, 0o600
        self._out.write(header.tobuf(tarfile.USTAR_FORMAT))

    def _end(self, name: str, size: int, sha256: str) -> None:
        self._out.write(b"\0" * (-size % _BLOCK))
        self.members += 1
        self.bytes += size
        self._note(f"{sha256}  {name}\n")

    def _note(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) == layout.FILES_PER_SUMS:
            self._write_sums()

    def _write_sums(self) -> None:
        self._sums += 1
        text = "".join(self._lines).encode()
        self._digest_of_sums.update(text)
        self._lines.clear()
        self._write_plain(layout.sums_name(self._sums), text)

    def _write_plain(self, name: str, content: bytes) -> None:
        """Write a member that no sum is taken of."""
        self._begin(name, len(content), self._now)
        self._out.write(content + b"\0" * (-len(content) % _BLOCK))


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Read exactly `size` bytes."""
    left = size
    while left:
        block = file.read(min(left, _READ_BYTES))
        if not block:
            raise OSError(0, f"{file.name} became shorter while it was read")
        left -= len(block)
        yield block
