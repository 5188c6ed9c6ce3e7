"""Text from outside, made fit for one line of a log."""

from __future__ import annotations


def one_line(text: str, limit: int = 200) -> str:
    """Return `text` with everything that is no printable character escaped, cut to `limit`."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in cut
    )
