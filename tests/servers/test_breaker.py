"""When a failing server is held, as a table."""

from __future__ import annotations

import pytest

from servers import breaker
from servers.breaker import Conduct, after_failure
from servers.forge_errors import (
    ForgeBadReply,
    ForgeConnectionLost,
    ForgeFailed,
    ForgeNotReady,
    ForgePoisoned,
    ForgeRejected,
    ForgeStalled,
    ForgeUnauthorized,
    ForgeUnreachable,
)

WELL = Conduct()
HELD = Conduct(failures=5, holds=1, is_held=True)
ON_TRIAL = Conduct(failures=5, holds=1)
TRIED_AFTER_A_HANG = Conduct(failures=1, holds=1)


@pytest.mark.parametrize(
    ("before", "at_once", "after"),
    [
        (WELL, False, Conduct(failures=1)),
        (Conduct(failures=3), False, Conduct(failures=4)),
        (Conduct(failures=4), False, HELD),
        (WELL, True, Conduct(failures=1, holds=1, is_held=True)),
        (HELD, False, Conduct(failures=6, holds=1, is_held=True)),
        (HELD, True, Conduct(failures=6, holds=1, is_held=True)),
        (ON_TRIAL, False, Conduct(failures=6, holds=2, is_held=True)),
        (TRIED_AFTER_A_HANG, False, Conduct(failures=2, holds=2, is_held=True)),
        (ON_TRIAL, True, Conduct(failures=6, holds=2, is_held=True)),
    ],
)
def test_what_one_more_failure_makes_of_a_server(before, at_once, after) -> None:
    assert after_failure(before, at_once=at_once) == after


def test_one_job_with_all_its_tries_cannot_hold_a_server() -> None:
    from jobs.backoff import MAX_RETRIES

    assert MAX_RETRIES + 1 < breaker.FAILURES_ALLOWED


@pytest.mark.parametrize(
    ("holds", "shortest", "longest"),
    [(1, 20, 30), (2, 40, 60), (3, 80, 120), (7, 1200, 1800), (10_000, 1200, 1800)],
)
def test_each_hold_is_longer_up_to_a_bound(holds, shortest, longest) -> None:
    for _ in range(50):
        assert shortest <= breaker.hold_seconds(holds) <= longest


def test_holds_of_two_servers_do_not_end_together() -> None:
    assert len({breaker.hold_seconds(1) for _ in range(10)}) == 10


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (ForgeConnectionLost("x"), True),
        (ForgeFailed("x", error_class="E", reason="r"), True),
        (ForgePoisoned("x", error_class="E", reason="r"), True),
        (ForgeBadReply("x"), True),
        (ForgeStalled("x"), True),
        (ForgeUnreachable("x"), False),
        (ForgeUnauthorized("x"), False),
        (ForgeNotReady("x"), False),
        (ForgeRejected("x"), False),
    ],
)
def test_whom_an_error_is_blamed_on(error, blamed) -> None:
    assert breaker.may_be_the_servers_fault(error) is blamed
