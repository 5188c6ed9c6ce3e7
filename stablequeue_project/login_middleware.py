"""What Django needs for its login at /admin, kept out of the way of the API, which has none."""

from __future__ import annotations

from collections.abc import Awaitable

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class _NotForTheApi(MiddlewareMixin):
    """Leaves requests below /api/ alone: they show a key or the page's cookie, no session."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if request.path_info.startswith("/api/"):
            return self.get_response(request)
        return super().__call__(request)


class Sessions(_NotForTheApi, SessionMiddleware):
    """Opens the session of whoever is logged in."""


class Users(_NotForTheApi, AuthenticationMiddleware):
    """Says who that is."""


class Messages(_NotForTheApi, MessageMiddleware):
    """Keeps what /admin tells until it is shown."""
