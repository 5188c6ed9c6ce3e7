"""The two shapes of an error answer: our envelope, and RFC 9457 problem details for who asks.

Both say the same. Problem details are sent if the Accept header names their media type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from rest_framework.request import Request

from events.timestamps import utc_millis
from stablequeue_project.api.codes import CODES

Fields = Mapping[str, Sequence[str]]
"""Dotted path of a field to the sentences about it."""

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"

DOCS_PATH = "/api/docs"
"""The page that explains each code, at the code as its anchor."""


def envelope(
    code: str, message: str, *, fields: Fields | None = None, **details: Any
) -> dict[str, Any]:
    """Build the body of an error answer."""
    return {
        "success": False,
        "error": code.lower(),
        "message": message,
        "details": _details(code, fields, details),
    }


def problem_details(
    code: str, message: str, *, fields: Fields | None = None, **details: Any
) -> dict[str, Any]:
    """Build the body of an error answer as RFC 9457 wants it.

    `type` has no host, since one StableQueue has many names and a type only one.
    """
    return {
        "type": f"{DOCS_PATH}#{code}",
        "title": CODES[code].meaning,
        "status": CODES[code].status,
        "detail": message,
        **_details(code, fields, details),
    }


def error_body(
    request: HttpRequest | Request,
    code: str,
    message: str,
    fields: Fields | None = None,
    **details: Any,
) -> tuple[dict[str, Any], str]:
    """Build the body in the shape `request` asks for; return it with its content type."""
    if wants_problem_details(request):
        return problem_details(code, message, fields=fields, **details), PROBLEM_JSON
    return envelope(code, message, fields=fields, **details), JSON


def wants_problem_details(request: HttpRequest | Request) -> bool:
    """Say whether the Accept header names problem details themselves; `*/*` does not."""
    named = {f"{accepted.main_type}/{accepted.sub_type}" for accepted in request.accepted_types}
    return PROBLEM_JSON in named


def refusal(request: HttpRequest, code: str, message: str) -> JsonResponse:
    """Build the whole answer, for refusals given where no REST view runs."""
    body, content_type = error_body(request, code, message)
    return JsonResponse(
        body,
        status=CODES[code].status,
        content_type=content_type,
        headers={"X-Content-Type-Options": "nosniff", "Vary": "Accept"},
    )


def _details(code: str, fields: Fields | None, more: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {"code": code, "timestamp": utc_millis(timezone.now()), **more}
    if fields:
        shown["fields"] = fields
    return shown
