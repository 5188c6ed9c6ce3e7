"""The contract's examples, and what it means that an answer is like one.

An answer has every field of its example, of the same type, and the same words. What is
different each time (ids, moments, numbers) is recognised by its form. More fields are fine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "examples"

REPLAYED: set[str] = set()
"""Names of the examples that some test replays."""

_FORMS = [
    re.compile(form)
    for form in (
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
        r"[0-9a-z]{8}(-[0-9a-z]{4}){3}-[0-9a-z]{12}(-.+)?",
        r"mk_[0-9A-Za-z]{32}",
        r"[0-9a-f]{8}_\d{13}_\d{5}-\d+\.png",
    )
]
"""Texts of one of these forms only have to have the same form."""

NOT_KNOWN_YET = {
    *("created", "modified", "size", "baseModel", "preview_url", "civitai_url", "civitai_id"),
    *("description", "model_version_id", "civitai_name", "downloads", "favorited", "rating"),
    "metadata_source",
}
"""Facts about a model file that neither its server nor Civitai told: they are null."""


def load(name: str) -> dict[str, Any]:
    """Read an example."""
    read: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    return read


def replays(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a test as the one that replays the example `name`."""
    REPLAYED.add(name)
    return lambda test: test


def assert_like(example: Any, answer: Any, at: str = "answer") -> None:
    """Fail where `answer` lacks something of `example`, and say where."""
    if example is None or (answer is None and at.rpartition(".")[2] in NOT_KNOWN_YET):
        return
    if isinstance(example, dict):
        assert isinstance(answer, dict), f"{at} is no object: {answer!r}"
        for name, below in example.items():
            assert name in answer, f"{at} has no {name}"
            assert_like(below, answer[name], f"{at}.{name}")
    elif isinstance(example, list):
        assert isinstance(answer, list), f"{at} is no list: {answer!r}"
        _assert_like_items(example, answer, at)
    elif isinstance(example, bool):
        assert answer is example, f"{at} is {answer!r}"
    elif isinstance(example, int | float):
        assert isinstance(answer, int | float), f"{at} is no number: {answer!r}"
    else:
        _assert_like_text(example, answer, at)


def _assert_like_items(example: list[Any], answer: list[Any], at: str) -> None:
    assert answer or not example or isinstance(example[0], str), f"{at} is empty"
    for index, item in enumerate(answer):
        if example and isinstance(example[0], dict):
            assert_like(example[0], item, f"{at}.{index}")
        elif example:
            assert type(item) is type(example[0]), f"{at}.{index} is {item!r}"


def _assert_like_text(example: str, answer: Any, at: str) -> None:
    assert isinstance(answer, str), f"{at} is no text: {answer!r}"
    for form in _FORMS:
        if form.fullmatch(example):
            assert form.fullmatch(answer), f"{at} is {answer!r}"
            return
    assert answer == example, f"{at} is {answer!r}"
