"""Whoever holds the event lock waits for nobody: else two could wait for each other."""

import threading

import pytest
from django.db import connection

from jobs import lifecycle
from servers import fleet
from servers.models import Health
from tests.factories import make_job, make_server

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 150


def repeat(action, errors):
    try:
        for turn in range(ROUNDS):
            action(turn)
    except Exception as error:  # noqa: BLE001  # of a thread: told by the test
        errors.append(error)
    finally:
        connection.close()


def test_submits_cancels_and_news_of_a_server_never_block_each_other():
    server = make_server()
    healths = [Health.ONLINE, Health.OFFLINE]
    errors: list[Exception] = []
    actions = [
        lambda turn: fleet.mark_health(server_id=server.pk, health=healths[turn % 2]),
        lambda _: make_job(server),
        lambda _: lifecycle.cancel(job_id=make_job(server).id),
        lambda _: lifecycle.delete(job_id=make_job(server).id),
    ]

    threads = [threading.Thread(target=repeat, args=(action, errors)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
