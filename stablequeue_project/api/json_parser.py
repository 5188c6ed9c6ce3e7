"""Reads JSON bodies, strictly: what Postgres or another client can't read is refused here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser

from stablequeue_project.api.field_errors import WHOLE_BODY

MAX_DEPTH = 64
MAX_VALUES = 200_000

_BOM = b"\xef\xbb\xbf"
_TOO_DEEP = f"The JSON is nested deeper than {MAX_DEPTH} levels."


class StrictJSONParser(JSONParser):
    """JSON in UTF-8 without BOM, NaN, infinities, NUL, broken characters or deep nests.

    Of a name that occurs twice in an object, the last value counts, as everywhere.
    """

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value in `stream`. Raises ParseError, ValidationError."""
        raw: bytes = stream.read()
        if raw.startswith(_BOM):
            raise ParseError("The JSON begins with a byte order mark. Send plain UTF-8.")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ParseError(f"The JSON is not UTF-8 (byte {error.start}).") from error
        try:
            value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        except RecursionError as error:
            raise ParseError(_TOO_DEEP) from error
        except json.JSONDecodeError as error:
            where = f"line {error.lineno} column {error.colno}"
            raise ParseError(f"The body is no JSON: {error.msg} at {where}.") from error
        except ValueError as error:
            raise ParseError(f"The body is no JSON: {error}.") from error
        _check(value)
        return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number in JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("a number is too large")
    return number


def _check(root: Any) -> None:
    """Walk every value, without recursion. Raises ParseError, or ValidationError with the path."""
    waiting: list[tuple[Any, tuple[str, ...]]] = [(root, ())]
    seen = 0
    while waiting:
        value, path = waiting.pop()
        if isinstance(value, str):
            _check_text(value, path)
            continue
        if not isinstance(value, dict | list):
            continue
        if len(path) >= MAX_DEPTH:
            raise ParseError(_TOO_DEEP)
        seen += len(value)
        if seen > MAX_VALUES:
            raise ParseError(f"The JSON holds more than {MAX_VALUES} values.")
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, below in items:
            if isinstance(name, str):
                _check_text(name, path)
            if not isinstance(below, int | float | None):
                waiting.append((below, (*path, str(name))))


def _check_text(text: str, path: tuple[str, ...]) -> None:
    if "\0" in text:
        raise _bad(path, "NUL characters are not allowed.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise _bad(path, "Half a surrogate pair is not allowed.") from error


def _bad(path: tuple[str, ...], sentence: str) -> ValidationError:
    return ValidationError({".".join(path) or WHOLE_BODY: [sentence]})
