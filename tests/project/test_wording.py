"""How pages speak of times, numbers and places in a line."""

from __future__ import annotations

import pytest

from stablequeue_project import wording


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (9.2, "9 s"), (60, "1 min"), (80, "1 min 20 s"), (7800, "about 2 h 10 min")],
)
def test_a_duration_is_said_as_people_say_it(seconds, words):
    assert wording.duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"), [(2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd")]
)
def test_a_place_in_a_line_has_its_ending(number, words):
    assert wording.ordinal(number) == words


@pytest.mark.parametrize(
    ("count", "words"), [(0, "Nothing waits."), (1, "1 job waits."), (1200, "1,200 jobs wait.")]
)
def test_a_server_says_how_many_jobs_wait_for_it(count, words):
    assert wording.waiting_on_server(count) == words
