"""The addresses that belong to no app: the word on our own state, and the way in."""

from __future__ import annotations

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from jobs import disk, presence


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """GET /status: 200 while every part serves, else 503 naming what is missing.

    A disk without room is told in a second line; it is no part that a restart would help.

    The worker and chores parts count while they consume from Redis, not just while they live.
    """
    try:
        missing, held = presence.missing_roles(), disk.pause()
    except Error:
        missing, held = ["database"], ""
    if missing:
        waiting = f"StableQueue is not ready. Missing: {', '.join(missing)}.\n"
        return HttpResponse(waiting, status=503, content_type="text/plain")
    said = ["StableQueue is running.", *([f"No job is started. {held}"] if held else [])]
    return HttpResponse("".join(f"{line}\n" for line in said), content_type="text/plain")
