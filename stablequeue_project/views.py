"""The addresses that belong to no app: the word on our own state, and the way in."""

from __future__ import annotations

from typing import ClassVar

from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.page_cookie import is_our_page
from jobs import disk, presence
from stablequeue_project import health, metrics


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


class HealthView(APIView):
    """GET /health: how StableQueue is; in detail for our pages and for keys."""

    access: ClassVar[str] = "open"
    permission_classes = ()
    throttle_classes = ()

    def perform_authentication(self, request: Request) -> None:
        """Not before it is known that the database answers, which holds the keys."""

    def get(self, request: Request) -> Response:
        report = health.look()
        shows_a_key = report.status != "down" and request.auth is not None
        may_know = shows_a_key or is_our_page(request)
        return Response(
            report.details() if may_know else report.outline(),
            status=503 if report.status == "down" else 200,
            headers={"Cache-Control": "no-store"},
        )


class MetricsView(APIView):
    """GET /metrics: numbers for Prometheus."""

    access: ClassVar[str] = "page"
    throttle_classes = ()

    def get(self, request: Request) -> HttpResponse:
        text, content_type = metrics.exposition(request.headers.get("Accept", ""))
        return HttpResponse(text, content_type=content_type, headers={"Cache-Control": "no-store"})
