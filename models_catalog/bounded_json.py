"""Parsing JSON that somebody may have made to fill the memory of who parses it.

JsonRefused    no JSON, or more than we are ready to hold
"""

from __future__ import annotations

import contextlib
import gc
import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

# A text that never ends goes to the end: else each quote in it would be tried anew.
_FLESH = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[ \t\r\n]++', re.DOTALL)
_QUOTES = 2


class JsonRefused(ValueError):
    """Says in a few words why."""


def load(text: bytes, *, most: int) -> Any:
    """Parse `text`. Raises JsonRefused, also where an object has one name twice.

    `most` bounds the bytes that are left without white space and without what stands in
    quotes: these decide how many objects come into being, each some tens of bytes.
    """
    if len(text) > most and _skeleton(text, most) > most:
        raise JsonRefused("holds too many things")
    try:
        with no_collections():
            return json.loads(
                text.decode("utf-8-sig"),
                object_pairs_hook=_without_duplicates,
                parse_constant=_no_number,
            )
    except JsonRefused:
        raise
    except (ValueError, RecursionError) as error:
        raise JsonRefused("is no JSON") from error


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """Keep the garbage collector away: of what JSON makes it would find nothing, again and again.

    It does harm no longer than the parsed is held, so let go of that inside.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _skeleton(text: bytes, most: int) -> int:
    """Count the bytes that stay: white space goes, and of what is quoted all but the quotes.

    Counts no further than a little beyond `most`, and makes nothing that grows on the way.
    """
    gone = 0
    for flesh in _FLESH.finditer(text):
        if flesh.start() - gone > most:
            return flesh.start() - gone
        is_quoted = text[flesh.start()] == ord('"')
        gone += flesh.end() - flesh.start() - (_QUOTES if is_quoted else 0)
    return len(text) - gone


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two readers would take different ones for the truth.
    told = dict(pairs)
    if len(told) < len(pairs):
        raise JsonRefused("says something twice")
    return told


def _no_number(word: str) -> NoReturn:
    raise JsonRefused(f"has {word} for a number")
