"""Passwords that the settings take from a folder, for URLs that have none."""

import pytest

from tests.project.test_guard_settings import read

PASSWORD = "p" * 40


@pytest.fixture
def folder(tmp_path):
    for name in ("postgres-password", "redis-password"):
        (tmp_path / name).write_text(f"{PASSWORD}\n")
    return str(tmp_path)


def database_password(url, folder):
    return read("DATABASES['default']['PASSWORD']", DATABASE_URL=url, STABLEQUEUE_SECRETS=folder)


def redis_url(url, folder):
    return read("REDIS_URL", REDIS_URL=url, STABLEQUEUE_SECRETS=folder)


def test_a_url_without_a_password_gets_the_one_in_the_folder(folder):
    assert database_password("postgres://me@db/queue", folder).stdout.strip() == PASSWORD


@pytest.mark.parametrize(
    ("url", "completed"),
    [
        ("redis://redis:6379/0", f"redis://:{PASSWORD}@redis:6379/0"),
        ("redis://me@redis/0", f"redis://me:{PASSWORD}@redis/0"),
        ("redis://me:@redis/0", f"redis://me:{PASSWORD}@redis/0"),
        ("rediss://[::1]:6379/0", f"rediss://:{PASSWORD}@[::1]:6379/0"),
    ],
)
def test_so_does_redis_whatever_its_url_looks_like(folder, url, completed):
    assert redis_url(url, folder).stdout.strip() == completed


def test_a_password_in_the_url_stays(folder):
    assert database_password("postgres://me:mine@db/queue", folder).stdout.strip() == "mine"
    assert redis_url("redis://:mine@redis/0", folder).stdout.strip() == "redis://:mine@redis/0"


@pytest.mark.parametrize("text", [None, "", "short"])
def test_a_password_that_is_missing_or_damaged_stops_the_start_with_a_sentence(tmp_path, text):
    if text is not None:
        (tmp_path / "postgres-password").write_text(text)

    outcome = database_password("postgres://me@db/queue", str(tmp_path))

    assert outcome.returncode != 0
    assert "STABLEQUEUE_SECRETS: " in outcome.stderr
    assert "postgres-password" in outcome.stderr.splitlines()[-1]
