"""The page's login: shown where it is asked for, renewed when Forge forgot it, never told."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

import pytest

from servers import forge_door
from servers.forge import ForgeClient, ForgeUnauthorized, Timing
from servers.forge_line import Credentials
from servers.forge_session import ForgeSession
from tests.servers.stand_in import StandIn, answer_bytes, answer_json

LOGIN = Credentials("person", "open sesame & more")
_starts = itertools.count()


@pytest.fixture(autouse=True)
def _nobody_is_logged_in() -> Iterator[None]:
    forge_door._logins.clear()
    yield
    forge_door._logins.clear()


class LockedPage:
    """A page behind --gradio-auth, on a stand-in."""

    def __init__(self, forge: StandIn) -> None:
        self._forge = forge
        self.logins: list[dict[str, list[str]]] = []
        self.restart()
        forge.routes["/login"] = self._log_in
        forge.routes["/queue/status"] = self._status

    def restart(self) -> None:
        """Draw another name for the cookie, as each start of Forge does."""
        self.cookie = f"access-token-unsecure-{next(_starts)}=secret{next(_starts)}"

    def _log_in(self, handler: BaseHTTPRequestHandler) -> None:
        form = parse_qs(self._forge.requests[-1][1])
        self.logins.append(form)
        if form != {"username": ["person"], "password": ["open sesame & more"]}:
            answer_json({"detail": "Incorrect credentials."}, 400)(handler)
        else:
            answer_json({"success": True}, Set_Cookie=f"{self.cookie}; path=/; HttpOnly")(handler)

    def _status(self, handler: BaseHTTPRequestHandler) -> None:
        if self.cookie in (handler.headers.get("Cookie") or ""):
            answer_json({"msg": "estimation"})(handler)
        else:
            answer_json({"detail": "Not authenticated"}, 401)(handler)


@pytest.fixture
def locked(forge: StandIn) -> LockedPage:
    return LockedPage(forge)


def session(forge: StandIn, credentials: Credentials | None = LOGIN) -> ForgeSession:
    return ForgeSession(forge.url, page_credentials=credentials, timing=Timing().scaled(0.1))


def test_a_login_is_made_once_and_shared(forge: StandIn, locked: LockedPage) -> None:
    for _ in range(3):
        session(forge).require_login()

    assert len(locked.logins) == 1


def test_after_a_restart_of_forge_we_log_in_again(forge: StandIn, locked: LockedPage) -> None:
    session(forge).require_login()
    locked.restart()

    session(forge).require_login()

    assert len(locked.logins) == 2


def test_a_missing_login_is_told_without_trying_one(forge: StandIn, locked: LockedPage) -> None:
    with pytest.raises(ForgeUnauthorized, match=r"--gradio-auth.*none are stored"):
        session(forge, None).require_login()

    assert locked.logins == []


def test_a_wrong_login_is_told_and_never_shown(
    forge: StandIn, locked: LockedPage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(ForgeUnauthorized, match="refuses the stored") as refused:
        session(forge, Credentials("person", "guess-7531")).require_login()

    assert "guess-7531" not in str(refused.value)
    assert "guess-7531" not in caplog.text


def test_another_password_is_another_login(forge: StandIn, locked: LockedPage) -> None:
    session(forge).require_login()

    # The cookie of the right password is not shown for the wrong one.
    with pytest.raises(ForgeUnauthorized):
        session(forge, Credentials("person", "guess")).require_login()


def test_pictures_are_fetched_with_the_pages_login(forge: StandIn, locked: LockedPage) -> None:
    def picture(handler: BaseHTTPRequestHandler) -> None:
        if locked.cookie not in (handler.headers.get("Cookie") or ""):
            answer_json({"detail": "Not authenticated"}, 401)(handler)
        else:
            answer_bytes(b"no picture")(handler)

    forge.routes["/file=out/x.png"] = picture
    forge.routes["/sdapi/v1/options"] = answer_json({"outdir_txt2img_samples": "out"})
    client = ForgeClient(forge.url, credentials=Credentials("api", "a"), page_credentials=LOGIN)

    with pytest.raises(Exception, match="not a whole PNG"):
        client.kept_pictures("txt2img", "x", ["x"])

    cookies = [headers.get("Cookie") for path, _, headers in forge.requests if "sdapi" in path]
    basics = [headers.get("Authorization") for path, _, headers in forge.requests if "file" in path]
    assert cookies == [None]
    assert basics == [None, None]
