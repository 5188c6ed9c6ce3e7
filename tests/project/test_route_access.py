"""Who gets through to which class of route; and that every route has one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

from apikeys.permissions import CLASSES
from stablequeue_project.api.route_access import access_of_view
from tests.callers import (
    EXTENSION_ORIGIN,
    FOREIGN_ORIGIN,
    OWN_ORIGIN,
    bearer,
    key_headers,
    our_page,
    send_json,
)

APPLICATION, MEDIA, PAGE = "/api/v1/application", "/api/v1/media", "/api/v1/page"


def routes(patterns: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            yield address, pattern.callback


def test_every_route_of_the_api_declares_who_may_call_it():
    ours = [(at, view) for at, view in routes(get_resolver().url_patterns) if at.startswith("api/")]

    assert ours
    assert not [at for at, view in ours if access_of_view(view) not in CLASSES]


@pytest.mark.usefixtures("example_routes")
class TestApplicationRoutes:
    def test_a_key_in_either_form_opens_them(self, local_tool, new_key):
        pair = f"{new_key.api_key.key}:{new_key.secret}"

        for headers in (key_headers(new_key), bearer(pair)):
            assert local_tool.get(APPLICATION, headers=headers).status_code == 200

    def test_no_key_is_refused_and_the_query_string_is_never_read(self, local_tool, new_key):
        key, secret = new_key.api_key.key, new_key.secret

        answer = local_tool.get(f"{APPLICATION}?api_key={key}&X-API-Key={key}&secret={secret}")

        assert answer.status_code == 401
        assert answer.json()["error"] == "unauthorized"

    def test_empty_key_headers_and_basic_count_as_no_key(self):
        headers = {"X-API-Key": "", "X-API-Secret": "", "Authorization": "Basic YTpi"}

        assert our_page().get(APPLICATION, headers=headers).status_code == 200

    def test_our_page_needs_no_key(self):
        assert our_page().get(APPLICATION).status_code == 200
        answer = send_json(our_page(), "POST", APPLICATION, {}, Origin=OWN_ORIGIN)
        assert answer.status_code == 200

    @pytest.mark.usefixtures("db")
    def test_a_wrong_key_counts_more_than_our_page(self):
        wrong = {"X-API-Key": "mk_1", "X-API-Secret": "s"}

        assert our_page().get(APPLICATION, headers=wrong).status_code == 401

    def test_an_allowed_origin_is_judged_by_its_key_alone(self, new_key):
        browser, origin = our_page(), {"Origin": EXTENSION_ORIGIN}

        keyless = send_json(browser, "POST", APPLICATION, {}, **origin)
        keyed = send_json(browser, "POST", APPLICATION, {}, **origin, **key_headers(new_key))

        assert (keyless.status_code, keyed.status_code) == (401, 200)
        assert browser.get(APPLICATION, headers=origin).status_code == 401


@pytest.mark.usefixtures("example_routes")
class TestMediaRoutes:
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Referer": OWN_ORIGIN + "/gallery"},
            {"Referer": EXTENSION_ORIGIN + "/", "Sec-Fetch-Site": "cross-site"},
            {"Origin": EXTENSION_ORIGIN},
            {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    def test_pages_of_ours_and_of_allowed_origins_show_pictures(self, local_tool, headers):
        assert local_tool.get(MEDIA, headers=headers).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {"Referer": FOREIGN_ORIGIN + "/"},
            {"Origin": FOREIGN_ORIGIN},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Referer": "http://localhost:7860.evil.example/"},
        ],
    )
    def test_foreign_pages_do_not(self, local_tool, headers):
        assert local_tool.get(MEDIA, headers=headers).status_code == 403

    def test_a_key_opens_them(self, local_tool, new_key):
        headers = {"Sec-Fetch-Site": "cross-site", **key_headers(new_key)}

        assert local_tool.get(MEDIA, headers=headers).status_code == 200

    def test_nothing_is_changed_through_them(self, local_tool):
        assert send_json(local_tool, "POST", MEDIA, {}).status_code == 405

    def test_browsers_are_told_who_may_embed_a_picture(self, local_tool):
        named = local_tool.get(MEDIA, headers={"Referer": EXTENSION_ORIGIN + "/"})
        nameless = local_tool.get(MEDIA)

        assert named["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert nameless["Cross-Origin-Resource-Policy"] == "same-site"
        assert "sandbox" in nameless["Content-Security-Policy"]


@pytest.mark.usefixtures("example_routes")
class TestPageRoutes:
    def test_pages_of_ours_and_local_tools_need_no_key(self, local_tool):
        assert local_tool.get(PAGE).status_code == 200
        browser = {"Sec-Fetch-Site": "same-origin", "Referer": OWN_ORIGIN + "/"}
        assert our_page().get(PAGE, headers=browser).status_code == 200

    @pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "none"}, {"Referer": OWN_ORIGIN}])
    def test_a_browser_that_never_saw_our_page_is_refused(self, local_tool, headers):
        assert local_tool.get(PAGE, headers=headers).status_code == 403
