"""Opening files of a folder that others fill: only regular ones, and none outside of it.

A name may be a symbolic link, a pipe that never ends, a device, or gone by now.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotServed(OSError):
    """The name leads out of the folders, or to no regular file."""


def open_inside(path: Path, roots: Sequence[Path]) -> BinaryIO:
    """Open a regular file that really lies in one of the `roots`, which are real paths.

    Raises OSError; NotServed for what exists but is none of ours to read.
    """
    # Asked first, since merely opening some devices does something.
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotServed(f"{path.name!r} is no regular file")
    descriptor = os.open(path, _FLAGS)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotServed(f"{path.name!r} is no regular file")
        # What was opened decides, not what the name led to a moment before.
        real = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if not any(real.is_relative_to(root) for root in roots):
            raise NotServed(f"{path.name!r} lies elsewhere")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_inside(path: Path, roots: Sequence[Path], most: int) -> bytes:
    """Return a file's content. Raises OSError; NotServed if it has more than `most` bytes."""
    with open_inside(path, roots) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise NotServed(f"{path.name!r} is too large")
    return content
