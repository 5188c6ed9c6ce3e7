"""Rates as text, and what is told about their use."""

from __future__ import annotations

import pytest

from apikeys.rates import HEADERS, Rate, Use


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("60/m", Rate(60, 60)),
        ("1/s", Rate(1, 1)),
        ("500/h", Rate(500, 3600)),
        ("9999999/d", Rate(9_999_999, 86_400)),
        ("off", None),
    ],
)
def test_a_rate_is_read_from_its_text(text, rate):
    assert Rate.parse(text) == rate


@pytest.mark.parametrize(
    "text",
    [
        *("", "60", "60/", "/m", "0/m", "-1/m", "60/w", "60/5m", "60 / m", "60/M", "6e1/m"),
        *("10000000/m", "60/m\n", "٦٠/m", "Off", "none"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(text):
    with pytest.raises(ValueError, match="is no rate like 60/m"):
        Rate.parse(text)


def test_the_use_of_a_rate_is_told_in_three_generations_of_headers():
    use = Use(Rate(60, 60), requests=18, seconds_left=17)

    assert use.headers(now=1_000_000.9) == {
        "RateLimit-Policy": '"default";q=60;w=60',
        "RateLimit": '"default";r=42;t=17',
        "RateLimit-Limit": "60",
        "RateLimit-Remaining": "42",
        "RateLimit-Reset": "17",
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": "42",
        "X-RateLimit-Reset": "1000017",
    }


def test_nothing_remains_of_a_rate_that_was_exceeded():
    headers = Use(Rate(60, 60), requests=99, seconds_left=1).headers(now=0)

    assert headers["RateLimit"] == '"default";r=0;t=1'
    assert list(headers) == list(HEADERS)
