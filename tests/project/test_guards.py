"""The guards in front of every view, against what a foreign web page can send."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings as configured
from django.test import Client

from apikeys.rates import HEADERS
from stablequeue_project.guards import is_our_host
from tests.callers import (
    EXTENSION_ORIGIN,
    FOREIGN_ORIGIN,
    OWN_ORIGIN,
    key_headers,
    our_page,
    send_json,
)

pytestmark = pytest.mark.usefixtures("example_routes")

APPLICATION, MEDIA, PAGE = "/api/v1/application", "/api/v1/media", "/api/v1/page"
FORM_TYPES = ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]


# --- Host ----------------------------------------------------------------------------


def test_the_host_guard_is_in_front_of_everything():
    assert configured.MIDDLEWARE[0] == "stablequeue_project.guards.HostGuard"


@pytest.mark.parametrize(
    "host",
    [
        "192.168.1.20:8083",
        "localhost",
        "LOCALHOST:8083",
        "tower",
        "nas.local",
        "NAS.Local.",
        "sd.box.lan",
        "pc.home",
        "pc.home.arpa",
        "web.internal",
        "queue.localhost",
        "[fd00::1]",
        "[::1]:8083",
        "8.8.8.8",
    ],
)
def test_addresses_of_a_home_network_are_ours(local_tool, host):
    assert local_tool.get(PAGE, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "nas.local.evil.com",
        "nas.local@evil.example",
        "evil.example@nas.local",
        "evillocal.com",
        "nas.local, evil.example",
        "nas.local evil.example",
        "nas.local/evil",
        "nas.local:80:80",
        "nas.local:99999",
        "nas.local:x",
        "nas.local..",
        ".local",
        "",
        ":8083",
        "[fd00::1",
        "999.1.1.1",
        "x" * 300,
        "nas.local\r\nX: y",
        "\uff4eas.local",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_any_other_host_is_refused_before_routing(local_tool, method, host):
    headers = {"Host": host, "X-Forwarded-Host": "nas.local"}

    answer = local_tool.generic(method, PAGE, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["error"] == "host_refused"
    assert "STABLEQUEUE_HOSTS" in answer.json()["message"]


def test_a_host_that_is_set_is_ours(settings):
    settings.ALLOWED_EXTRA_HOSTS = ["queue.example.com", ".mine.example"]

    assert is_our_host("Queue.Example.com:443")
    assert is_our_host("a.mine.example")
    assert not is_our_host("evil.queue.example.com")


def test_refused_hosts_do_not_fill_the_log(local_tool, caplog):
    for number in range(50):
        local_tool.get(PAGE, headers={"Host": f"evil{number}.example"})

    lines = [r for r in caplog.records if "refused host" in r.message]
    assert len(lines) == 1


# --- Origin --------------------------------------------------------------------------


@pytest.mark.parametrize("client", [Client(), our_page()], ids=["without cookie", "with cookie"])
@pytest.mark.parametrize("path", [APPLICATION, PAGE, "/admin/login/", "/nothing"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": FOREIGN_ORIGIN},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost:7860.evil.com"},
        {"Origin": "http://localhost:78600"},
        {"Origin": "https://localhost:7860"},
        {"Origin": "http://testserver:8000"},
        {"Origin": "https://testserver"},
        {"Origin": f"{FOREIGN_ORIGIN} {OWN_ORIGIN}"},
        {"Referer": FOREIGN_ORIGIN + "/"},
        {"Referer": EXTENSION_ORIGIN + "/"},
        {"Referer": "file:///etc/passwd"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": OWN_ORIGIN, "Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_foreign_page_changes_nothing(client, path, headers):
    answer = client.post(path, headers=headers, content_type="application/json")

    assert answer.status_code == 403
    assert answer.json()["error"] == "origin_refused"
    assert "STABLEQUEUE_ORIGINS" in answer.json()["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": OWN_ORIGIN},
        {"Origin": OWN_ORIGIN, "Sec-Fetch-Site": "same-origin"},
        {"Referer": OWN_ORIGIN + "/keys", "Origin": OWN_ORIGIN},
    ],
)
def test_our_own_pages_and_local_tools_change_what_they_like(headers):
    assert send_json(our_page(), "POST", PAGE, {}, **headers).status_code == 200


@pytest.mark.parametrize("path", [PAGE, "/api/v1/validating", "/admin/"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_allowed_origins_are_for_key_holders_not_for_our_own_routes(local_tool, method, path):
    answer = local_tool.generic(method, path, headers={"Origin": EXTENSION_ORIGIN})

    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", [APPLICATION, PAGE, MEDIA, "/nothing"])
def test_a_foreign_page_opens_no_event_stream(local_tool, path):
    assert local_tool.get(path, headers={"Origin": FOREIGN_ORIGIN}).status_code == 403


def test_a_proxys_address_that_is_set_is_ours(settings):
    settings.OWN_ORIGINS = ["https://queue.example.com"]

    answer = send_json(our_page(), "POST", PAGE, {}, Origin="https://queue.example.com")

    assert answer.status_code == 200


def test_what_is_refused_is_logged_on_one_line(local_tool, caplog):
    caplog.set_level(logging.INFO)

    local_tool.post("/api/%0d%0a%1b[31mfake", headers={"Origin": "http://e\x1b.x"})

    [line] = [r.message for r in caplog.records if r.name == "stablequeue_project.guards"]
    assert line == "refused POST /api/\\r\\n\\x1b[31mfake, sent by a page of http://e\\x1b.x"


# --- CORS ----------------------------------------------------------------------------


@pytest.mark.parametrize("origin", configured.CORS_ALLOWED_ORIGINS)
def test_a_preflight_of_an_allowed_origin_is_answered(local_tool, origin):
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key,x-api-secret,content-type",
        "Access-Control-Request-Private-Network": "true",
    }

    answer = local_tool.options(APPLICATION, headers=asked)

    assert answer["Access-Control-Allow-Origin"] == origin
    assert "x-api-key" in answer["Access-Control-Allow-Headers"]
    assert "origin" in answer["Vary"].lower()
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Access-Control-Allow-Private-Network" not in answer.headers


def test_an_allowed_origin_can_read_what_is_left_of_its_rate(local_tool, new_key):
    headers = {"Origin": EXTENSION_ORIGIN, **key_headers(new_key)}

    answer = send_json(local_tool, "POST", APPLICATION, {}, **headers)

    exposed = answer["Access-Control-Expose-Headers"].split(", ")
    assert answer["RateLimit-Remaining"] == "59"
    assert set(exposed) == {*HEADERS, "Retry-After", "Idempotent-Replay"}


def test_a_foreign_origin_is_shown_nothing_whatever_key_it_holds(local_tool, new_key):
    headers = {"Origin": FOREIGN_ORIGIN, **key_headers(new_key)}

    answer = local_tool.get(APPLICATION, headers=headers)

    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]


def test_an_allowed_origin_can_read_why_it_was_refused(local_tool):
    answer = send_json(local_tool, "POST", APPLICATION, {}, Origin=EXTENSION_ORIGIN)

    assert answer.status_code == 401
    assert answer["Access-Control-Allow-Origin"] == EXTENSION_ORIGIN


# --- JSON only, body cap -------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("body", ["", "{}"])
@pytest.mark.parametrize("sent", [*FORM_TYPES, "TEXT/PLAIN; charset=utf-8"])
def test_what_a_form_can_send_is_refused_even_without_a_body(local_tool, method, body, sent):
    answer = local_tool.generic(method, PAGE, body, CONTENT_TYPE=sent)

    assert answer.status_code == 415
    assert answer.json()["error"] == "not_json"


@pytest.mark.parametrize("sent", ["application/xml", "application/jsonx", "", "json"])
def test_a_body_that_is_not_called_json_is_refused(local_tool, sent):
    assert local_tool.generic("POST", PAGE, "{}", content_type=sent).status_code == 415


@pytest.mark.parametrize("sent", ["", "application/json", "Application/JSON; charset=utf-8"])
def test_a_call_without_a_body_needs_no_type(local_tool, sent):
    assert local_tool.generic("POST", PAGE, "", CONTENT_TYPE=sent).status_code == 200


@pytest.mark.parametrize("path", [PAGE, "/admin/login/"])
def test_a_body_over_the_limit_is_refused_by_its_announced_length(local_tool, settings, path):
    answer = local_tool.generic(
        "POST", path, "{}", content_type="application/json", CONTENT_LENGTH=33_554_433
    )

    assert answer.status_code == 413
    assert answer.json()["message"] == "A request's body has at most 32 MiB."


# --- headers -------------------------------------------------------------------------


@pytest.mark.parametrize("path", [APPLICATION, PAGE, "/nothing"])
def test_every_answer_tells_browsers_to_keep_others_out(local_tool, path):
    headers = local_tool.get(path).headers

    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    # Browsers heed it on https only, and write an error to the console elsewhere.
    assert "Cross-Origin-Opener-Policy" not in headers
    assert local_tool.get(path, secure=True)["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in headers
