"""The addresses that belong to no app: the word on our own state, and the way in."""

from __future__ import annotations

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from jobs import presence


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """GET /status: 200 while every part serves, else 503 naming what is missing.

    The worker and chores parts count while they consume from Redis, not just while they live.
    """
    try:
        missing = presence.missing_roles()
    except Error:
        missing = ["database"]
    if missing:
        waiting = f"StableQueue is not ready. Missing: {', '.join(missing)}.\n"
        return HttpResponse(waiting, status=503, content_type="text/plain")
    return HttpResponse("StableQueue is running.\n", content_type="text/plain")
