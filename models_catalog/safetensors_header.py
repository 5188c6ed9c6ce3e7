"""Reading the header of a safetensors file that somebody may have made to break its reader.

Eight bytes tell how long the header is, then comes a JSON object: what the file's maker says
about it (`__metadata__`, text to text), and the name, shape and place of every tensor. The
tensors themselves are never read.

    HeaderUnreadable    the file is no safetensors file, or none that we are ready to read
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from models_catalog import bounded_json

MAX_HEADER = 16 * 1024 * 1024
"""Bytes: those that carry pictures and long lists of tags need some of it."""
MAX_SKELETON = 4 * 1024 * 1024
"""Bytes of it without what stands in quotes: room for 60,000 tensors."""
MAX_DIMENSIONS = 16

_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"
_ONLY_NUMBERS = frozenset({int})


class HeaderUnreadable(ValueError):
    """Says in a few words what is wrong with it."""


@dataclass(frozen=True)
class Header:
    """What a file tells about itself."""

    length: int
    """Bytes before the tensors, those of the length itself included."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The shape of each tensor, by its name."""


def read_header(file: BinaryIO, size: int) -> Header:
    """Read the header of an open file of `size` bytes. Raises HeaderUnreadable, OSError."""
    first = file.read(_LENGTH.size)
    if len(first) < _LENGTH.size:
        raise HeaderUnreadable("it is too short")
    [length] = _LENGTH.unpack(first)
    if length > size - _LENGTH.size:
        raise HeaderUnreadable("it is shorter than its header")
    if length > MAX_HEADER:
        raise HeaderUnreadable(f"its header is longer than {MAX_HEADER // 2**20} MiB")
    text = file.read(length)
    if len(text) < length:
        raise HeaderUnreadable("it is shorter than its header")
    if text[:1] != b"{":
        raise HeaderUnreadable("its header is no object")
    with bounded_json.no_collections():
        return _header(_parsed(text), _LENGTH.size + length, size)


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        told: dict[str, Any] = bounded_json.load(text, most=MAX_SKELETON)
    except bounded_json.JsonRefused as error:
        raise HeaderUnreadable(f"its header {error}") from error
    return told


def _header(told: dict[str, Any], length: int, size: int) -> Header:
    metadata = told.pop(_METADATA, {})
    if not isinstance(metadata, dict):
        raise HeaderUnreadable("its metadata are no object")
    return Header(
        length,
        {name: value for name, value in metadata.items() if isinstance(value, str)},
        {name: _shape(tensor, size - length) for name, tensor in told.items()},
    )


def _shape(tensor: Any, room: int) -> tuple[int, ...]:
    """Return a tensor's shape. Raises HeaderUnreadable if it does not lie within `room` bytes."""
    try:
        shape = tensor["shape"]
        [begin, end] = tensor["data_offsets"]
        if (
            type(tensor["dtype"]) is str
            and type(shape) is list
            and type(begin) is type(end) is int
            and 0 <= begin <= end <= room
            and len(shape) <= MAX_DIMENSIONS
            and _ONLY_NUMBERS.issuperset(map(type, shape))
            and min(shape, default=0) >= 0
        ):
            return tuple(shape)
    except (KeyError, TypeError, ValueError):
        pass
    raise HeaderUnreadable("one of its tensors does not lie in the file")
