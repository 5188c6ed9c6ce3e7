"""The one shape of every error answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import JsonResponse
from django.utils import timezone

from events.timestamps import utc_millis
from stablequeue_project.api.codes import CODES

Fields = Mapping[str, Sequence[str]]
"""Dotted path of a field to the sentences about it."""


def envelope(
    code: str, message: str, *, fields: Fields | None = None, **details: Any
) -> dict[str, Any]:
    """Build the body of an error answer."""
    shown: dict[str, Any] = {"code": code, "timestamp": utc_millis(timezone.now()), **details}
    if fields:
        shown["fields"] = fields
    return {"success": False, "error": code.lower(), "message": message, "details": shown}


def refusal(code: str, message: str, **details: Any) -> JsonResponse:
    """Build the whole answer, for refusals given before any view runs."""
    response = JsonResponse(envelope(code, message, **details), status=CODES[code].status)
    response["X-Content-Type-Options"] = "nosniff"
    return response
