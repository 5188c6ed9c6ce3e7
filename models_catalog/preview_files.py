"""Getting at the preview pictures of the files in our folders."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from models_catalog import folders, previews
from models_catalog.models import FolderFile
from models_catalog.safe_files import NotServed, open_inside
from models_catalog.safetensors_header import HeaderUnreadable, read_header


@dataclass(frozen=True)
class Preview:
    """A picture, open at its beginning."""

    content: BinaryIO
    content_type: str
    etag: str
    """Changes with the picture; in quotes, as HTTP has it."""


def open_preview(file: FolderFile, index: int) -> Preview | None:
    """Return a file's preview of that number. None if there is none, or it is no picture.

    What is served is told by its first bytes, whatever its name says.
    """
    if index >= len(file.previews):
        return None
    try:
        content, stamp = _open(file, file.previews[index])
    except (OSError, HeaderUnreadable):
        return None
    content_type = previews.content_type_of(content.read(previews.MAGIC_BYTES))
    if content_type is None:
        content.close()
        return None
    content.seek(0)
    digest = hashlib.sha256(f"{file.pk}:{index}:{stamp}".encode()).hexdigest()[:32]
    return Preview(content, content_type, f'"{digest}"')


def _open(file: FolderFile, where: dict[str, Any]) -> tuple[BinaryIO, str]:
    """Open it, and say what changes with it. Raises OSError, HeaderUnreadable."""
    roots = folders.real_paths()
    path = Path(file.root, file.path)
    if "file" in where:
        opened = open_inside(path.with_name(where["file"]), roots)
        state = os.fstat(opened.fileno())
        if state.st_size > previews.MAX_BYTES:
            opened.close()
            raise NotServed(f"{where['file']!r} is too large")
        return opened, f"{state.st_size}:{state.st_mtime_ns}"
    with open_inside(path, roots) as opened:
        state = os.fstat(opened.fileno())
        inside = previews.embedded(read_header(opened, state.st_size))
    index = int(where["embedded"])
    if index >= len(inside):
        raise NotServed("it is not inside any more")
    return io.BytesIO(inside[index]), f"{state.st_size}:{state.st_mtime_ns}"
