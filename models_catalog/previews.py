"""Which pictures show what a model file draws: those beside it, then those inside it."""

from __future__ import annotations

import base64
import binascii
import re
from itertools import islice

from models_catalog.safetensors_header import Header

MAX_BYTES = 32 * 1024 * 1024
"""Of one picture; a larger one is not shown."""
MAX_EMBEDDED = 8
ENDINGS = (
    *(".preview.png", ".preview.jpg", ".preview.jpeg", ".preview.webp"),
    *(".png", ".jpg", ".jpeg", ".webp", ".gif", ".preview.gif"),
)
"""What follows the stem in the name of a preview, the best one first."""

THUMBNAIL = "modelspec.thumbnail"
COVERS = "ssmd_cover_images"

_DATA_URL = re.compile(r"data:image/[\w.+-]{1,20};base64,", re.IGNORECASE)
_QUOTED = re.compile(r'"([^"\\]{20,}+)"')
_MAGIC = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
)
MAGIC_BYTES = 16


def content_type_of(beginning: bytes) -> str | None:
    """Return what a picture's first bytes say it is; None if it is no picture of a browser."""
    return next((kind for magic, kind in _MAGIC if magic.match(beginning)), None)


def embedded(header: Header) -> list[bytes]:
    """Return the pictures inside a safetensors header, in order."""
    texts = [header.metadata.get(THUMBNAIL, ""), *_covers(header.metadata.get(COVERS, ""))]
    pictures = (_decoded(text) for text in texts)
    return [picture for picture in pictures if picture][:MAX_EMBEDDED]


def _covers(text: str) -> list[str]:
    """Return the texts of a list that may be made to fill the memory of who parses it."""
    return [found[1] for found in islice(_QUOTED.finditer(text), MAX_EMBEDDED)]


def _decoded(text: str) -> bytes:
    """Return the picture of a data URL or of bare base64; nothing if it is none."""
    begin = _DATA_URL.match(text)
    try:
        picture = base64.b64decode(text[begin.end() if begin else 0 :], validate=True)
    except (binascii.Error, ValueError):
        return b""
    return picture if content_type_of(picture[:MAGIC_BYTES]) else b""
