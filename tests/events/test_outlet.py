"""What waits for a client is bounded, and it is told in order what it wants."""

import socket
from datetime import UTC, datetime

import pytest

from events.entries import Entry, Scope
from events.filters import Filter
from events.outlet import ROOM, Asked, Outlet


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def entry(number, kind="test.happened", **data):
    return Entry(number, datetime.now(UTC), kind, "test", "1", data, Scope())


def fill(outlet):
    number = 0
    while outlet.has_room:
        number += 1
        outlet.pass_by(entry(number, text="x" * 1000))
        outlet.send()


def test_no_more_waits_for_a_client_than_there_is_room(pair):
    ours, _ = pair
    outlet = Outlet(ours, b"", Asked(Filter(), 0, b""))

    told = 0
    while outlet.has_room and told < 10_000:
        told += 1
        outlet.pass_by(entry(told, text="x" * 1000))
        outlet.send()

    assert not outlet.has_room
    assert outlet.position == told
    outlet.add(b"progress")
    assert len(outlet._out) < ROOM + 2000


def test_once_the_client_reads_there_is_room_again(pair):
    ours, theirs = pair
    outlet = Outlet(ours, b"", Asked(Filter(), 0, b""))
    fill(outlet)

    while outlet.is_behind_in_sending:
        theirs.recv(1_000_000)
        outlet.send()

    assert outlet.has_room
    assert not outlet.has_stalled(0)


def test_one_that_takes_nothing_has_stalled(pair):
    ours, _ = pair
    outlet = Outlet(ours, b"x" * 5_000_000, Asked(Filter(), 0, b""))

    outlet.send()

    assert outlet.has_stalled(0)
    assert not outlet.has_stalled(60)


def test_a_client_that_leaves_is_noticed(pair):
    ours, theirs = pair
    outlet = Outlet(ours, b"", Asked(Filter(), 0, b""))

    before = outlet.is_left()
    theirs.close()

    assert [before, outlet.is_left()] == [False, True]
