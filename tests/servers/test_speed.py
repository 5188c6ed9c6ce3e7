"""How fast a server draws, learned from what it drew."""

import pytest

from servers import fleet, speed
from servers.address import Address
from servers.models import Server

pytestmark = pytest.mark.django_db

WORK = 1_000_000.0


@pytest.fixture
def server():
    return fleet.add_server(alias="Laptop", address=Address("http", "127.0.0.1", 7860))


def drew(server, seconds, *, had_to_load=False, work=WORK):
    speed.note(server_id=server.pk, work=work, seconds=seconds, had_to_load=had_to_load)
    server.refresh_from_db()
    return server


def test_nothing_is_known_of_a_server_that_drew_nothing(server):
    assert (server.speed, server.load_seconds) == (None, None)


def test_the_first_generation_tells_the_speed_and_later_ones_shift_it(server):
    assert drew(server, 10).speed == pytest.approx(WORK / 10)

    assert drew(server, 20).speed == pytest.approx(WORK / 13)


def test_a_generation_that_had_to_load_tells_how_long_that_takes(server):
    drew(server, 10)

    assert drew(server, 14, had_to_load=True).load_seconds == pytest.approx(4)
    assert drew(server, 24, had_to_load=True).load_seconds == pytest.approx(0.7 * 4 + 0.3 * 14)
    assert server.speed == pytest.approx(WORK / 10)


def test_without_a_speed_a_load_tells_nothing(server):
    assert drew(server, 14, had_to_load=True).load_seconds is None


@pytest.mark.parametrize(("seconds", "work"), [(0.0, WORK), (-1.0, WORK), (5.0, 0.0)])
def test_what_cannot_be_is_not_learned_from(server, seconds, work):
    assert drew(server, seconds, work=work).speed is None


def test_a_server_that_moved_is_another_machine(server):
    drew(server, 10)

    fleet.update_server(server_id=server.pk, address=Address("http", "127.0.0.1", 7861))

    assert Server.objects.get().speed is None
