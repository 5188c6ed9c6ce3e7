"""Which requests count as sent by our own page."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from apikeys.page_cookie import NAME, PageView, is_our_page, set_page_cookie
from tests.callers import EXTENSION_ORIGIN, FOREIGN_ORIGIN, OWN_ORIGIN


def cookie() -> str:
    response = HttpResponse()
    set_page_cookie(response)
    return response.cookies[NAME].value


def request(method: str, *, with_cookie: str | None = None, **headers: str) -> HttpRequest:
    asked = RequestFactory().generic(method, "/", headers=headers)
    asked.COOKIES[NAME] = cookie() if with_cookie is None else with_cookie
    return asked


def test_every_page_marks_the_browser():
    class Page(PageView):
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse("hello")

    morsel = Page.as_view()(RequestFactory().get("/")).cookies[NAME]

    assert morsel["httponly"]
    assert morsel["samesite"] == "Strict"
    assert morsel["path"] == "/"


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("GET", {"Referer": OWN_ORIGIN + "/queue"}),
        ("POST", {"Origin": OWN_ORIGIN}),
        ("POST", {"Origin": "HTTP://TESTSERVER:80"}),
        ("DELETE", {"Referer": OWN_ORIGIN + "/queue"}),
    ],
)
def test_the_cookie_counts_where_our_own_page_sends_it(method, headers):
    assert is_our_page(request(method, **headers))


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {}),
        ("POST", {"Origin": EXTENSION_ORIGIN}),
        ("POST", {"Origin": FOREIGN_ORIGIN}),
        ("POST", {"Origin": "null"}),
        ("POST", {"Origin": FOREIGN_ORIGIN, "Referer": OWN_ORIGIN}),
        ("POST", {"Referer": "http://testserver@evil.example/"}),
        ("POST", {"Referer": "http://testserver:81/"}),
        ("GET", {"Origin": EXTENSION_ORIGIN}),
        ("GET", {"Referer": EXTENSION_ORIGIN + "/"}),
    ],
)
def test_the_cookie_does_not_count_where_another_page_sends_it(method, headers):
    assert not is_our_page(request(method, **headers))


@pytest.mark.parametrize("value", ["", "page", "page:1:forged", "x" * 5000])
def test_a_cookie_we_did_not_sign_does_not_count(value):
    assert not is_our_page(request("GET", with_cookie=value))


def test_an_address_set_as_ours_is_ours(settings):
    settings.OWN_ORIGINS = ["https://queue.example.com"]

    assert is_our_page(request("POST", Origin="https://queue.example.com"))
