"""The signed cookie that proves a request to come from one of our own pages.

It is no login: whoever can open a page gets it. It tells our pages from other pages in
the same browser. SameSite alone would not: sites ignore ports, so a page on
localhost:7860 is of the same site as localhost:8083. Hence a cookie counts only if the
browser names no other page as the sender.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views import View
from rest_framework.request import Request

from apikeys.origins import is_own, source_of

NAME = "stablequeue_page"
MAX_AGE = 400 * 24 * 3600
"""Seconds; the longest life browsers grant. Every page renews it."""

_SALT = "apikeys.page_cookie"
_VALUE = "page"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def set_page_cookie(response: HttpResponseBase) -> None:
    """Mark the browser that gets `response` as showing one of our pages."""
    response.set_signed_cookie(
        NAME, _VALUE, salt=_SALT, max_age=MAX_AGE, path="/", httponly=True, samesite="Strict"
    )


def is_our_page(request: HttpRequest | Request) -> bool:
    """Say whether `request` was sent by one of our pages.

    The cookie must be valid and Origin, or lacking it Referer, our own. A safe method may
    come without both, as browsers send none when a user opens an address.
    """
    django_request = request._request if isinstance(request, Request) else request
    value = django_request.get_signed_cookie(NAME, default="", salt=_SALT, max_age=MAX_AGE)
    if value != _VALUE:
        return False
    source = source_of(request)
    if source is None:
        return request.method in _SAFE_METHODS
    return is_own(source, request)


class PageView(View):
    """A page of ours: every answer carries the cookie."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, and mark the browser."""
        response = super().dispatch(request, *args, **kwargs)
        set_page_cookie(response)
        return response
