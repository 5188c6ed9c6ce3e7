from __future__ import annotations

import pytest

from servers.aliases import clean_alias
from servers.errors import ServerAliasInvalid


@pytest.mark.parametrize(
    ("text", "alias"),
    [
        ("Laptop", "Laptop"),
        ("  Big PC (4090) ", "Big PC (4090)"),
        ("Küche", "Küche"),
        ("Ku\u0308che", "Küche"),
        ("画室 🎨", "画室 🎨"),
        ("a" * 64, "a" * 64),
        ("100%25", "100%25"),
    ],
)
def test_ordinary_names_are_taken(text: str, alias: str) -> None:
    assert clean_alias(text) == alias


@pytest.mark.parametrize(
    "text",
    ["", "   ", "a" * 65, "a/b", "..", "a\\b", "a\nb", "a\0b", "a\u202eb", "null", "AUTO", "Any"],
)
def test_names_that_would_confuse_are_refused(text: str) -> None:
    with pytest.raises(ServerAliasInvalid) as caught:
        clean_alias(text)

    assert list(caught.value.fields) == ["alias"]
