"""The gate before all services: one migrates, the others wait for it."""

import os
import subprocess
import sys
import uuid
from urllib.parse import urlsplit

import psycopg
import pytest

from stablequeue_project.stack.processes import CHECKOUT, SETTINGS_UNUSABLE

BECOME = [sys.executable, "-c", "print('became it', flush=True)"]


@pytest.fixture
def empty_database():
    """The URL of a database without tables."""
    url, name = os.environ["DATABASE_URL"], f"migrate_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def start(url, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "stablequeue_project.stack.migrate", *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_those_who_wait_begin_when_another_one_has_migrated(empty_database):
    waiting = start(empty_database, "--wait", *BECOME)
    first_word = waiting.stderr.readline()
    migrating = start(empty_database, *BECOME)

    said, _ = migrating.communicate(timeout=60)
    said_after, _ = waiting.communicate(timeout=30)

    assert first_word == "Waiting for the tables of this version.\n"
    assert said.splitlines()[-1] == "became it"
    assert said_after == "became it\n"


def test_two_who_migrate_at_once_take_turns(empty_database):
    both = [start(empty_database) for _ in range(2)]

    said = [process.communicate(timeout=60)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert sum("Applying jobs.0001_initial" in text for text in said) == 1


def test_a_setting_that_is_wrong_ends_it():
    process = start("mysql://me@db/queue", *BECOME)

    said, complaint = process.communicate(timeout=30)

    assert (process.returncode, said) == (SETTINGS_UNUSABLE, "")
    assert "DATABASE_URL must name a PostgreSQL database" in complaint
