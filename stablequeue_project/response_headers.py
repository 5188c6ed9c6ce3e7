"""Headers that tell browsers what other pages may do with our answers."""

from __future__ import annotations

from collections.abc import Callable

from corsheaders.middleware import CorsMiddleware
from django.http import HttpRequest, HttpResponse

from apikeys.origins import is_allowed_by_cors, source_of
from stablequeue_project.api.route_access import access_at, access_of_view

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Scripts and styles from our own files only; pictures also as the pages make them."""

MEDIA_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""A file that turns out to be no picture can run and load nothing."""


class KeyHolderCors(CorsMiddleware):
    """CORS for application routes only: other routes are for our own pages, whatever the key."""

    def is_enabled(self, request: HttpRequest) -> bool:
        """Say whether the route is one that pages of allowed origins may call."""
        return access_at(request.path_info) == "application"


class SecurityHeaders:
    """Adds Content-Security-Policy and the Cross-Origin policies to every answer.

    Pictures may be embedded by pages of the same site (any port of our host) and, where
    the browser names one, of an allowed origin. Reading their pixels stays forbidden.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        matched = request.resolver_match
        if matched and access_of_view(matched.func) == "media":
            source = source_of(request)
            embedder = "cross-origin" if source and is_allowed_by_cors(source) else "same-site"
            response.headers.setdefault("Content-Security-Policy", MEDIA_POLICY)
            response.headers.setdefault("Cross-Origin-Resource-Policy", embedder)
        else:
            response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
            if request.is_secure():
                # Browsers heed it on https only, and complain of it elsewhere.
                response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
            response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response
