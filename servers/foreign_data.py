"""Handling bytes and text that somebody else made.

Sizes, depths and types are checked, and text is made fit to be stored and logged. What is
not fit raises ValueError.
"""

from __future__ import annotations

import base64
import contextlib
import json
import zlib
from collections.abc import Iterator
from typing import Any

MAX_JSON_NODES = 2_000_000
MAX_JSON_DEPTH = 32
MAX_LINE = 300
MAX_PNG_CHUNKS = 100_000
MAX_PNG_TEXT = 256 * 1024

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
    ends = {kind: end for kind, _, end in _png_chunks(data)}
    return next(iter(ends), None) == b"IHDR" and b"IDAT" in ends and ends.get(b"IEND") == len(data)


def png_size(data: bytes) -> tuple[int, int]:
    """Width and height in pixels as the header of a PNG says. (0, 0) if it has none."""
    kind, content, _ = next(_png_chunks(data), (b"", memoryview(b""), 0))
    if kind != b"IHDR" or len(content) < 8:
        return 0, 0
    return int.from_bytes(content[:4], "big"), int.from_bytes(content[4:8], "big")


def png_text(data: bytes, keyword: str) -> str:
    """The text that a PNG carries under `keyword`, made fit to be stored; empty if none.

    Text that is not readable, or unpacks to more than MAX_PNG_TEXT bytes, counts as none.
    """
    wanted = keyword.encode("latin-1")
    for kind, content, _ in _png_chunks(data):
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            continue
        name, _, rest = bytes(content).partition(b"\0")
        if name == wanted:
            with contextlib.suppress(ValueError, zlib.error):
                return str(tame(_text_of(kind, rest)))
    return ""


def _text_of(kind: bytes, rest: bytes) -> str:
    """The text of a chunk behind its keyword. Raises ValueError and zlib.error."""
    if kind == b"tEXt":
        return rest[:MAX_PNG_TEXT].decode("latin-1")
    if kind == b"zTXt":
        return _unpacked(rest[1:]).decode("latin-1")
    # iTXt: whether it is packed, how, then language and translated keyword.
    text = rest[2:].split(b"\0", 2)[-1]
    return (_unpacked(text) if rest[:1] == b"\1" else text[:MAX_PNG_TEXT]).decode()


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(packed, MAX_PNG_TEXT)
    if not unpacker.eof:
        raise ValueError("too long a text")
    return text


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    """The chunks of a PNG: kind, content, where it ends. Ends at the first broken one."""
    view = memoryview(data)
    position = len(PNG_SIGNATURE)
    if not data.startswith(PNG_SIGNATURE):
        return
    for _ in range(MAX_PNG_CHUNKS):
        if len(data) - position < 12:
            return
        length = int.from_bytes(view[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            return
        checksum = int.from_bytes(view[end - 4 : end], "big")
        if zlib.crc32(view[position + 4 : end - 4]) != checksum:
            return
        kind = bytes(view[position + 4 : position + 8])
        yield kind, view[position + 8 : end - 4], end
        if kind == b"IEND":
            return
        position = end
