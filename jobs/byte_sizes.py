"""Numbers of bytes as people write and read them. Pure; no Django model."""

from __future__ import annotations

import re

_UNITS = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}


def parse(text: str) -> int:
    """Read `1GiB`, `1.5 GB` or plain bytes. Raises ValueError with a sentence."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?) ?([a-z]{0,3})", text.strip().lower())
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{text!r} is no number of bytes, like 1GiB or 500MB.")
    return int(float(found[1]) * _UNITS[found[2]])


def in_words(count: int) -> str:
    """Say it to one place behind the point: 1.5 GiB."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
