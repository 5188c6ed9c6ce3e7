"""A failed delivery is tried again ever more rarely, for about three days."""

from webhooks import schedule

HOUR = 3600


def test_the_waits_grow_as_the_specification_suggests():
    waits = [schedule.wait(attempts) for attempts in range(1, 10)]

    expected = (5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
    for wait, about in zip(waits, expected, strict=True):
        assert wait is not None
        assert 0.9 * about <= wait <= 1.1 * about
    assert schedule.wait(10) is None


def test_receivers_that_failed_together_are_not_asked_together_again():
    assert len({schedule.wait(2) for _ in range(20)}) > 10


def test_a_receiver_may_ask_for_a_longer_wait_but_not_for_ever():
    assert schedule.wait(1, asked=600) == 600
    assert schedule.wait(1, asked=10 * 24 * HOUR) == 24 * HOUR
    assert schedule.wait(1, asked=1) != 1
