"""Handling bytes and text that somebody else made.

Sizes, depths and types are checked, and text is made fit to be stored and logged. What is
not fit raises ValueError.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

MAX_JSON_NODES = 2_000_000
MAX_JSON_DEPTH = 32
MAX_LINE = 300
MAX_PNG_CHUNKS = 100_000

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PICTURE_SIGNATURES = {PNG_SIGNATURE: "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WebP"}


def one_line(text: object, limit: int = MAX_LINE) -> str:
    """Make foreign text fit for a message or a log: one printable line of bounded length."""
    words = str(text)[: limit * 4].split()
    line = "".join(letter for letter in " ".join(words) if letter.isprintable())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def tame(value: Any, depth: int = MAX_JSON_DEPTH) -> Any:
    """Return parsed JSON without what PostgreSQL cannot store (NUL, lone surrogates).

    Raises ValueError for a value nested deeper than `depth`.
    """
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        raise ValueError("nested too deeply")
    if isinstance(value, list):
        return [tame(item, depth - 1) for item in value]
    return {tame(key): tame(item, depth - 1) for key, item in value.items()}


def parse_json(body: bytes) -> Any:
    """Parse JSON of bounded size; NaN and infinities become None.

    A value needs at least a comma or a bracket, so counting those bounds the memory that
    parsing takes. Pictures in base64 hold neither.
    """
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > MAX_JSON_NODES:
        raise ValueError("too large a structure")
    try:
        return json.loads(body, parse_constant=lambda _: None)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def decode_base64(text: str) -> bytes:
    """Decode base64 with or without a `data:…;base64,` in front."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    return base64.b64decode(text, validate=True)


def picture_kind(data: bytes) -> str | None:
    """Tell PNG, JPEG and WebP by their first bytes."""
    for signature, kind in _PICTURE_SIGNATURES.items():
        if data.startswith(signature):
            return kind
    return None


def is_whole_png(data: bytes) -> bool:
    """Say whether `data` is a PNG from its signature to IEND, each chunk's checksum right."""
    view = memoryview(data)
    position = len(PNG_SIGNATURE)
    kinds: list[bytes] = []
    if not data.startswith(PNG_SIGNATURE):
        return False
    while len(data) - position >= 12 and len(kinds) < MAX_PNG_CHUNKS:
        length = int.from_bytes(view[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            return False
        checksum = int.from_bytes(view[end - 4 : end], "big")
        if zlib.crc32(view[position + 4 : end - 4]) != checksum:
            return False
        kinds.append(bytes(view[position + 4 : position + 8]))
        position = end
        if kinds[-1] == b"IEND":
            return kinds[0] == b"IHDR" and b"IDAT" in kinds and position == len(data)
    return False
