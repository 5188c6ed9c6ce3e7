"""The settings of the guards, as read from the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def read(expression: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"from stablequeue_project import settings; print(settings.{expression})"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_lists_may_hold_spaces_and_any_spelling():
    hosts = read("ALLOWED_EXTRA_HOSTS", STABLEQUEUE_HOSTS="Queue.example.com, .mine.example")
    origins = read("CORS_ALLOWED_ORIGINS", STABLEQUEUE_CORS_ORIGINS=" HTTP://A:1, https://b:443,")

    assert hosts.stdout.strip() == "['queue.example.com', '.mine.example']"
    assert origins.stdout.strip() == "['http://a:1', 'https://b']"


@pytest.mark.parametrize("name", ["STABLEQUEUE_CORS_ORIGINS", "STABLEQUEUE_ORIGINS"])
@pytest.mark.parametrize("value", ["*", "localhost:7860", "http://a/path", "ftp://a", "null"])
def test_an_origin_that_is_none_stops_the_start_with_a_sentence(name, value):
    outcome = read("DEBUG", **{name: value})

    assert outcome.returncode != 0
    assert f"{name}: '{value}' is no origin like http://localhost:7860" in outcome.stderr


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("60/m", "Rate(requests=60, seconds=60)"),
        ("5/h", "Rate(requests=5, seconds=3600)"),
        ("off", "None"),
    ],
)
def test_the_rate_limit_is_read(value, rate):
    assert read("RATE_LIMIT", STABLEQUEUE_RATE_LIMIT=value).stdout.strip() == rate


@pytest.mark.parametrize("value", ["60", "0/m", "fast", ""])
def test_a_rate_limit_that_is_none_stops_the_start_with_a_sentence(value):
    outcome = read("DEBUG", STABLEQUEUE_RATE_LIMIT=value)

    assert outcome.returncode != 0
    assert f"STABLEQUEUE_RATE_LIMIT: '{value}' is no rate like 60/m" in outcome.stderr
