"""The simulator has the routes, and asks for the credentials, of a Forge started the same way."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from servers.simulator import ForgeSimulator, ModelFile, parameters
from servers.simulator.engine import Order
from tests.contracts import recordings
from tests.contracts.recordings import differences, exchanges

LOGINS: dict[str, dict[str, Any]] = {
    "auth-api-auth-only": {"api_auth": "apiuser:apipass"},
    "auth-gradio-auth-only": {"gradio_auth": "uiuser:uipass"},
    "auth-both": {"api_auth": "apiuser:apipass", "gradio_auth": "uiuser:uipass"},
}
"""How the recorded Forge was started, besides --api."""

NOT_SIMULATED = {
    "/docs": "the web framework's own page",
    "/monitoring": "gradio's own statistics",
    "/heartbeat/abc": "gradio's own stream that says nothing",
}
RECORDED_PICTURE = "/home/user/forge/outputs/txt2img-images/2026-11-23/00004-888.png"


@contextmanager
def started(**flags: Any) -> Iterator[ForgeSimulator]:
    models = [ModelFile(path, sha, hashed=True) for path, sha in recordings.MODEL_HASHES.items()]
    with ForgeSimulator(models, seconds=0.0, load_seconds=0.0, **flags) as forge:
        yield forge


def asked(
    forge: ForgeSimulator, exchange: dict[str, Any], cookies: dict[str, str]
) -> requests.Response:
    """Send a recorded request with its headers, and the cookies where it had some."""
    request = exchange["request"]
    headers = dict(request.get("headers", {}))
    if headers.pop("Cookie", None):
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    path = request["path"].replace(RECORDED_PICTURE, forge.engine.outputs.paths[0])
    return requests.request(
        request["method"], forge.url + path, json=request.get("body"), headers=headers, timeout=10
    )


def route_differences(exchange: dict[str, Any], answer: requests.Response) -> list[str]:
    """Like `differences`, but bodies that were cut out of the recording are compared by kind."""
    recorded = exchange["response"]
    found = [
        f"{name}: {answer.headers.get(name)}"
        for name in ("www-authenticate", "accept-ranges")
        if recorded["headers"].get(name) != answer.headers.get(name)
    ]
    body = recorded["body"]
    if isinstance(body, str) and body.startswith("("):
        said = recorded["status"], recorded["content_type"]
        is_same = said == (answer.status_code, answer.headers["Content-Type"])
        return found if is_same else [*found, f"{said} became {answer.status_code}"]
    if isinstance(body, dict) and "event_id" in body:
        return [] if answer.status_code == 200 and answer.json().keys() == body.keys() else ["join"]
    return found + differences(exchange, answer, running=False)


def draw_one(forge: ForgeSimulator) -> None:
    """Leave a picture of an earlier start on the disk."""
    wanted = {"prompt": "a cat", "width": 64, "height": 64, "seed": 888, "save_images": True}
    request = parameters.read(json.dumps(wanted).encode(), parameters.TXT2IMG)
    forge.engine.generate(Order("txt2img", request, "t-before", "scripts_txt2img"), list)
    forge.restart()


@pytest.mark.parametrize("name", LOGINS)
def test_credentials_are_asked_for_as_recorded(name: str) -> None:
    recording = recordings.load(name)
    with started(**LOGINS[name]) as forge:
        draw_one(forge)
        cookies = dict[str, str]()
        if "login_ok" in recording:
            cookies = logged_in(forge, recording)
        found = [
            f"{group} {it['request']['method']} {it['request']['path']}: {difference}"
            for group, answers in recording.items()
            if isinstance(answers, list)
            for it in answers
            for difference in route_differences(it, asked(forge, it, cookies))
            if not is_left_behind(difference)
        ]

    assert found == []


def is_left_behind(difference: str) -> bool:
    """What an earlier request of the recording left in the global state."""
    return "state.skipped" in difference or "state.interrupted" in difference


def logged_in(forge: ForgeSimulator, recording: dict[str, Any]) -> dict[str, str]:
    """The cookies of a login, its answers compared with the recorded ones."""
    wrong, right = (
        requests.post(f"{forge.url}/login", data=recording[it]["request"]["form"], timeout=5)
        for it in ("login_wrong", "login_ok")
    )
    for answer, it in ((wrong, "login_wrong"), (right, "login_ok")):
        assert answer.status_code == recording[it]["response"]["status"]
        assert answer.text == recording[it]["response"]["body"]
    said = right.raw.headers.getlist("set-cookie")
    recorded = [
        text for key, text in recording["login_ok"]["response"]["headers"] if key == "set-cookie"
    ]
    assert [without_values(text) for text in said] == [without_values(text) for text in recorded]
    return dict(right.cookies)


def without_values(cookie: str) -> tuple[str, list[str]]:
    """The cookie's name without its id, and its attributes."""
    pair, *rest = cookie.split("; ")
    found = re.match(r"access-token(-unsecure)?-.{40,}=", pair)
    assert found, cookie
    return str(found[1]), sorted(it.lower() for it in rest)


def test_cookie_of_before_a_restart_opens_nothing() -> None:
    with started(gradio_auth="uiuser:uipass") as forge, requests.Session() as session:
        form = {"username": "uiuser", "password": "uipass"}
        session.post(f"{forge.url}/login", data=form, timeout=5)
        names = set(session.cookies.keys())
        before = session.get(f"{forge.url}/config", timeout=5).status_code

        forge.restart()

        assert before == 200
        assert session.get(f"{forge.url}/config", timeout=5).status_code == 401
        again = requests.post(f"{forge.url}/login", data=form, timeout=5)
        assert not names & set(again.cookies.keys())


def no_api_leaves_the_page_only() -> None:
    found = []
    with started(api=False) as forge:
        draw_one(forge)
        for exchange in exchanges(recordings.load("routes-without-api-flag")):
            path = exchange["request"]["path"]
            if path in NOT_SIMULATED:
                continue
            if "error" in exchange:
                with pytest.raises(requests.exceptions.ChunkedEncodingError):
                    asked(forge, exchange, {})
                continue
            answer = asked(forge, exchange, {})
            found += [f"{path}: {it}" for it in route_differences(exchange, answer)]
    assert found == []


def routes_appear_one_kind_after_the_other() -> None:
    recording = recordings.load("startup-window")
    paths = [path for path in recording["transitions"][0] if path != "t"]
    open_port, own_routes, everything = recording["transitions"][1:]
    with started(startup_seconds=0.5) as forge:
        first = statuses(forge, paths)
        stages = [first]
        deadline = time.monotonic() + 10
        while stages[-1] != statuses_of(everything) and time.monotonic() < deadline:
            seen = statuses(forge, paths)
            if seen != stages[-1]:
                stages.append(seen)

    # The API came up between two looks of the recording's first round.
    assert first == {**statuses_of(open_port), "/sdapi/v1/progress": 404}
    assert statuses_of(own_routes) in stages
    assert stages[-1] == statuses_of(everything)


def statuses(forge: ForgeSimulator, paths: list[str]) -> dict[str, int]:
    def status(path: str) -> int:
        method, body = ("POST", {"id_task": "x"}) if path == "/internal/progress" else ("GET", None)
        return requests.request(method, forge.url + path, json=body, timeout=5).status_code

    return {path: status(path) for path in paths}


def statuses_of(transition: dict[str, Any]) -> dict[str, int]:
    return {path: status for path, status in transition.items() if path != "t"}


def flags_are_shown_when_no_port_was_given() -> None:
    (exchange,) = exchanges(recordings.load("get-cmd-flags-without-port-flag"))
    with started(port_flag=False) as forge:
        answer = asked_plainly(forge, exchange)

    assert differences(exchange, answer, running=False) == []


def asked_plainly(forge: ForgeSimulator, exchange: dict[str, Any]) -> requests.Response:
    return recordings.send(forge.url, exchange["request"], "")


STORIES: dict[str, Callable[[], None]] = {
    "routes-without-api-flag": no_api_leaves_the_page_only,
    "startup-window": routes_appear_one_kind_after_the_other,
    "get-cmd-flags-without-port-flag": flags_are_shown_when_no_port_was_given,
}

COVERED = {*LOGINS, *STORIES}


@pytest.mark.parametrize("name", STORIES)
def test_start_is_as_in_the_recorded_story(name: str) -> None:
    STORIES[name]()
