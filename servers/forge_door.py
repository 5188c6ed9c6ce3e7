"""The way to the routes of Forge's page, which --gradio-auth closes to who has not logged in.

A login is a pair of cookies. Their names are drawn at each start of that Forge, so they die
with it; who is refused logs in once more.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from urllib.parse import urlencode

from servers.forge_errors import ForgeNotReady, ForgeUnauthorized
from servers.forge_line import Credentials, Line
from servers.forge_refusals import Reply

_LOGIN_BYTES = 64 * 1024
_MAX_LOGINS = 200

_logins: dict[tuple[str, str], str] = {}
"""What this process shows to which Forge under which credentials: the `Cookie` header."""
_changing = threading.Lock()


class PageDoor:
    """Asks the page's routes of one Forge, logged in if there are `credentials`."""

    def __init__(
        self, open_line: Callable[[], Line], credentials: Credentials | None, *, patience: float
    ) -> None:
        """Take what opens a connection; a login takes `patience` seconds at most."""
        self._open_line = open_line
        self._credentials = credentials
        self._patience = patience

    def exchange(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        max_bytes: int,
        body: bytes | None = None,
        open_line: Callable[[], Line] | None = None,
        on_bytes: Callable[[bytes], object] = lambda _: None,
    ) -> Reply:
        """Send a request and return the answer, whatever its status but 401.

        `open_line` is for who needs a connection of its own kind; it may be called twice.
        `on_bytes` is shown the answer as it comes.
        Raises ForgeUnauthorized when a login is missing or refused, and what a line raises.
        """
        for is_second_try in (False, True):
            line = (open_line or self._open_line)()
            cookie = self._cookie(line.address, afresh=is_second_try)
            reply = line.exchange(
                method,
                path,
                deadline=deadline,
                max_bytes=max_bytes,
                body=body,
                headers={"Cookie": cookie} if cookie else None,
                on_bytes=on_bytes,
            )
            if reply.status != 401:
                return reply
        raise ForgeUnauthorized(f"{reply.address} let us log in to its page, and then refused us.")

    def _cookie(self, address: str, *, afresh: bool) -> str:
        if self._credentials is None:
            if afresh:
                raise ForgeUnauthorized(
                    f"{address} asks for the user name and password of its page "
                    "(--gradio-auth), and none are stored."
                )
            return ""
        known = (address, _fingerprint(self._credentials))
        with _changing:
            if not afresh:
                return _logins.get(known, "")
        cookie = self._log_in(self._credentials)
        with _changing:
            if len(_logins) >= _MAX_LOGINS:
                _logins.clear()
            _logins[known] = cookie
        return cookie

    def _log_in(self, credentials: Credentials) -> str:
        line = self._open_line()
        form = {"username": credentials.username, "password": credentials.password}
        reply = line.exchange(
            "POST",
            "/login",
            body=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            deadline=self._patience,
            max_bytes=_LOGIN_BYTES,
        )
        if reply.status == 404:
            raise ForgeNotReady(f"{line.address} has no page to log in to yet.")
        if reply.status != 200 or not reply.cookies:
            raise ForgeUnauthorized(
                f"{line.address} refuses the stored user name and password of its page "
                "(--gradio-auth)."
            )
        return "; ".join(f"{name}={value}" for name, value in reply.cookies)


def _fingerprint(credentials: Credentials) -> str:
    """Tell credentials apart without keeping them."""
    return hashlib.sha256(b"\0".join(credentials.pair)).hexdigest()
