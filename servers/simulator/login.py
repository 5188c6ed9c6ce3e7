"""Who may ask what: Basic for --api-auth, a cookie for --gradio-auth, and what stays open.

The two know nothing of each other. A cookie's name holds an id drawn at each start, so a
cookie of the time before a restart opens nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Request, Response

from servers.simulator.answers import json_answer
from servers.simulator.errors import RefusalError

_PAGE = ("/config", "/info", "/queue/", "/call/", "/run/", "/api/", "/file", "/login_check")
_OPEN_API = ("/sdapi/v1/loras", "/sdapi/v1/refresh-loras")
"""Routes of a built-in extension, which --api-auth does not cover."""


class Login:
    """The guards of one start. `api` and `page` are "user:password", more with commas between."""

    def __init__(self, *, api: str | None, page: str | None, cookie_has_id: bool = True) -> None:
        self._api = _pairs(api)
        self._page = _pairs(page)
        ending = f"-{secrets.token_urlsafe(32)}" if cookie_has_id else ""
        self._cookies = f"access-token{ending}", f"access-token-unsecure{ending}"
        self._tokens: dict[str, str] = {}

    def guarded(self, path: str, answer: Callable[..., Response]) -> Callable[..., Response]:
        """`answer`, for those only who may have it."""
        if self._api and path.startswith("/sdapi/") and path not in _OPEN_API:
            return self._with(self._check_basic, answer)
        if self._page and path.startswith(_PAGE):
            return self._with(self._check_cookie, answer)
        return answer

    @staticmethod
    def _with(
        check: Callable[[Request], None], answer: Callable[..., Response]
    ) -> Callable[..., Response]:
        def checked(request: Request, **values: Any) -> Response:
            check(request)
            return answer(request, **values)

        return checked

    def log_in(self, request: Request) -> Response:
        """POST /login with a form. Raises RefusalError 400 for wrong credentials."""
        user, password = request.form.get("username", ""), request.form.get("password", "")
        if not self._page:
            return Response(status=302, headers={"Location": "/"})
        if self._page.get(user.strip()) != password:
            raise RefusalError(400, "Incorrect credentials.")
        token = secrets.token_urlsafe(16)
        self._tokens[token] = user.strip()
        answer = json_answer({"success": True})
        secure, unsecure = self._cookies
        answer.set_cookie(secure, token, httponly=True, samesite="None", secure=True)
        answer.set_cookie(unsecure, token, httponly=True, samesite="Lax")
        return answer

    def _check_basic(self, request: Request) -> None:
        said = request.authorization
        if said is None or said.type != "basic":
            raise RefusalError(401, "Not authenticated", challenge="Basic")
        if self._api.get(said.username or "") != said.password:
            raise RefusalError(401, "Incorrect username or password", challenge="Basic")

    def _check_cookie(self, request: Request) -> None:
        for name in self._cookies:
            token = request.cookies.get(name, "")
            if user := self._tokens.get(token):
                request.environ["page.user"] = user
                return
        raise RefusalError(401, "Not authenticated")


def _pairs(said: str | None) -> dict[str, str]:
    """Passwords by user. Raises ValueError for a pair without a colon."""
    pairs: dict[str, str] = {}
    for pair in (said or "").split(","):
        user, colon, password = pair.strip().partition(":")
        if not colon and pair:
            raise ValueError("Credentials are written as user:password, with commas between.")
        if colon:
            pairs[user] = password
    return pairs
