"""Turns the nested complaints of DRF's serializers into a flat list of named fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WHOLE_BODY = "body"
"""Names a complaint about the body as a whole."""

_MAX_FIELDS = 50
_MAX_SENTENCES = 5
_MAX_LENGTH = 300


def flattened(detail: Any) -> dict[str, list[str]]:
    """Map each field's dotted path (`generation_params.steps`, `jobs.2.seed`) to its sentences.

    Bounded, as sentences may quote what the client sent.
    """
    fields: dict[str, list[str]] = {}
    for path, sentence in _sentences(detail, ()):
        name = ".".join(path) or WHOLE_BODY
        if name not in fields and len(fields) == _MAX_FIELDS:
            break
        sentences = fields.setdefault(name[:_MAX_LENGTH], [])
        if len(sentences) < _MAX_SENTENCES:
            sentences.append(sentence[:_MAX_LENGTH])
    return fields


def summary(fields: Mapping[str, list[str]]) -> str:
    """Write one sentence that names the first field."""
    if not fields:
        return "A value is wrong."
    name, sentences = next(iter(fields.items()))
    return sentences[0] if name == WHOLE_BODY else f"{name}: {sentences[0]}"


def _sentences(detail: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(detail, Mapping):
        for name, below in detail.items():
            step = () if name == "non_field_errors" else (str(name),)
            yield from _sentences(below, path + step)
    elif isinstance(detail, list):
        # A list holds either the sentences of one field or the complaints of its items.
        for index, below in enumerate(detail):
            step = (str(index),) if isinstance(below, Mapping | list) else ()
            yield from _sentences(below, path + step)
    else:
        yield path, str(detail)
