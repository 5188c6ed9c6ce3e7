"""What a server may be called."""

from __future__ import annotations

import unicodedata

from servers.errors import ServerAliasInvalid

MAX_LENGTH = 64
MAX_KEY_LENGTH = 3 * MAX_LENGTH

RESERVED = frozenset({"null", "none", "undefined", "auto", "any", "all", "default", ".", ".."})
"""Words that clients send for "no server" or "whichever", or that break a URL path."""


def clean_alias(text: str) -> str:
    """Return the alias in one Unicode form, without spaces around it.

    Raises ServerAliasInvalid.
    """
    alias = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(alias) <= MAX_LENGTH:
        raise ServerAliasInvalid(f"A server's name has 1 to {MAX_LENGTH} characters.")
    if not alias.isprintable() or "/" in alias or "\\" in alias:
        raise ServerAliasInvalid(
            "A server's name holds only printable characters, and no slash or backslash."
        )
    if alias.casefold() in RESERVED:
        raise ServerAliasInvalid(f"'{alias}' has a meaning of its own; choose another name.")
    return alias


def alias_key(alias: str) -> str:
    """Return what is the same for aliases that differ in letter case only.

    Folding can make a character into up to three.
    """
    return unicodedata.normalize("NFC", alias.casefold())
