"""The hashes of a model file, computed in one pass over its bytes.

- SHA-256 of all of it; its first ten digits are what is called AutoV2.
- AutoV1, the oldest: of 64 KiB in one place only, so that files of one family collide.
- AutoV3: of the tensors alone, so that a change of the header changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

BLOCK = 1024 * 1024
FORGOTTEN_AFTER = 32 * 1024 * 1024
"""Bytes after which those read are given back, so that they push nothing else out of memory."""
_AUTOV1_AT, _AUTOV1_LENGTH = 0x100000, 0x10000


class Abandoned(Exception):
    """Somebody wanted the work to end."""


@dataclass(frozen=True)
class Digests:
    """Lower-case digits. `autov1` is empty of a file too short for it."""

    sha256: str
    autov1: str
    autov3: str = ""


def digests_of(
    file: BinaryIO, *, tensors_at: int = 0, is_over: Callable[[], bool] = lambda: False
) -> Digests:
    """Read an open file to its end. Raises OSError, Abandoned.

    `tensors_at` is where the tensors begin, if their own hash is wanted: it costs as much as
    the one of the whole file. `is_over` is asked between blocks.
    """
    descriptor = file.fileno()
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    sample = os.pread(descriptor, _AUTOV1_LENGTH, _AUTOV1_AT)
    whole, tensors = hashlib.sha256(), hashlib.sha256()
    block = memoryview(bytearray(BLOCK))
    at = forgotten = 0
    while length := os.preadv(descriptor, [block], at):
        whole.update(block[:length])
        if tensors_at:
            tensors.update(block[max(tensors_at - at, 0) : length])
        at += length
        if at - forgotten >= FORGOTTEN_AFTER:
            os.posix_fadvise(descriptor, forgotten, at - forgotten, os.POSIX_FADV_DONTNEED)
            forgotten = at
        if is_over():
            raise Abandoned
    return Digests(
        sha256=whole.hexdigest(),
        autov1=hashlib.sha256(sample).hexdigest()[:8] if sample else "",
        autov3=tensors.hexdigest()[:12] if tensors_at else "",
    )
