"""Which worker counts as deaf."""

import pytest

from jobs.watchdog import Hearing


def looks(*seen, deaf_after=4):
    """The verdicts of a row of looks, each (taken, has a free thread, messages)."""
    hearing = Hearing(deaf_after)
    return [
        hearing.look(taken=taken, has_free_thread=free, messages=messages)
        for taken, free, messages in seen
    ]


def test_messages_that_lie_there_while_nothing_is_taken_make_it_deaf():
    assert looks(*[(0, True, 1)] * 5) == [False, False, False, True, True]


@pytest.mark.parametrize(
    "look",
    [
        pytest.param((0, True, None), id="Redis is away"),
        pytest.param((0, True, 0), id="nothing lies there"),
        pytest.param((0, False, 9), id="all threads are busy"),
        pytest.param((1, True, 9), id="it has taken one"),
    ],
)
def test_one_look_that_explains_it_begins_the_count_anew(look):
    taken = look[0]

    assert looks(*[(0, True, 1)] * 3, look, *[(taken, True, 1)] * 3) == [False] * 7


def test_it_is_doubtful_long_before_it_ends():
    hearing = Hearing(8)
    for _ in range(2):
        hearing.look(taken=0, has_free_thread=True, messages=1)

    assert hearing.is_doubtful
