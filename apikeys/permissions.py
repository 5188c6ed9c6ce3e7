"""Who may call which route.

Each view declares its class as `access`:

- `application`: needs a key, or must come from one of our pages;
- `page`: our pages, local tools, and keys; never a foreign page;
- `media`: pictures, which pages of an allowed origin may show without a key;
- `open`: whoever asks; tells only whether StableQueue works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from django.core.exceptions import ImproperlyConfigured
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apikeys.authentication import SENTENCE
from apikeys.errors import NotOurPage
from apikeys.origins import is_allowed_by_cors, is_own, source_of
from apikeys.page_cookie import is_our_page

Access = Literal["application", "page", "media", "open"]
CLASSES: tuple[str, ...] = get_args(Access)


class RouteAccess(BasePermission):
    """Lets in whom the view's `access` names; a view without one lets nobody in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return True or raise the refusal."""
        rule = _RULES.get(getattr(view, "access", ""))
        if rule is None:
            raise ImproperlyConfigured(
                f"{type(view).__name__} declares no access. Use one of {', '.join(CLASSES)}."
            )
        if request.auth is None:
            rule(request)
        return True


def _application(request: Request) -> None:
    if not is_our_page(request):
        raise NotAuthenticated(SENTENCE)


def _page(request: Request) -> None:
    if not (is_our_page(request) or _is_local_tool(request)):
        raise NotOurPage


def _media(request: Request) -> None:
    """Refuse pictures to foreign pages, as far as the browser names the page.

    One that hides itself on plain HTTP looks like a local tool; the header
    Cross-Origin-Resource-Policy keeps browsers from showing the picture there.
    """
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(request.method or "")
    source = source_of(request)
    if source is not None:
        if not (is_own(source, request) or is_allowed_by_cors(source)):
            raise NotOurPage
    elif request.headers.get("Sec-Fetch-Site") == "cross-site":
        raise NotOurPage


def _is_local_tool(request: Request) -> bool:
    """Say whether no browser sent this: curl, a script, the back end of an extension."""
    return not any(
        name in {"Origin", "Referer"} or name.startswith("Sec-Fetch-") for name in request.headers
    )


def _open(request: Request) -> None:
    """Refuse nobody."""


_RULES: dict[str, Callable[[Request], None]] = {
    "application": _application,
    "page": _page,
    "media": _media,
    "open": _open,
}
