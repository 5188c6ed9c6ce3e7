"""Whoever looks at something that hangs is not hung up with it."""

import threading
import time

import pytest

from stablequeue_project.bounded_look import BoundedLook, seen_by


def soon():
    return time.monotonic() + 5


@pytest.fixture
def hanging():
    """A look that hangs until it is let go, with the number of times it was begun."""
    gate, begun = threading.Event(), []

    def look():
        begun.append(1)
        gate.wait(10)
        return "seen"

    yield BoundedLook(look, fresh_for=60), gate, begun
    gate.set()


def test_what_hangs_is_told_as_none(hanging):
    look, _, _ = hanging

    assert seen_by(look.begin(), time.monotonic() + 0.05) is None


def test_however_many_ask_one_looks(hanging):
    look, gate, begun = hanging

    asked = [look.begin() for _ in range(20)]
    gate.set()

    assert [seen_by(one, soon()) for one in asked] == ["seen"] * 20
    assert len(begun) == 1


def test_a_look_that_fails_has_seen_nothing_and_the_next_one_looks_again():
    answers = iter([None, "seen"])

    def look():
        if (answer := next(answers)) is None:
            raise OSError("gone")
        return answer

    looks = BoundedLook(look, fresh_for=0)

    assert seen_by(looks.begin(), soon()) is None
    assert seen_by(looks.begin(), soon()) == "seen"
