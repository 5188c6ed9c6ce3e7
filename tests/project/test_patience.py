"""Nobody waits for the database for ever, and nobody frozen makes others wait for ever."""

import copy

import pytest
from django.db import connection, connections

from stablequeue_project import patience


@pytest.fixture
def connection_options(monkeypatch):
    """The options of new connections, as a copy that this test may change."""
    settings = copy.deepcopy(connections.settings["default"])
    monkeypatch.setitem(connections.settings, "default", settings)
    return settings["OPTIONS"]


@pytest.mark.django_db
def test_a_session_that_idles_in_a_transaction_loses_its_locks():
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")

        assert cursor.fetchone() == ("30s",)


def test_the_web_process_bounds_its_statements_beside_what_was_set(connection_options):
    before = connection_options["options"]

    patience.limit_statements()

    assert connection_options["options"] == (
        f"{before} -c lock_timeout=4s -c statement_timeout=30s"
    )
