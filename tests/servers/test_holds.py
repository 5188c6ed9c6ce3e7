"""Holding a server, trying it again and releasing it, on a real database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F

from events.models import Event
from servers import breaker, health, holds
from servers.address import parse_address
from servers.fleet import (
    add_server,
    drain_server,
    end_drain,
    mark_health,
    pause_server,
    remove_server,
    resume_server,
    update_server,
)
from servers.forge import ForgeFailed, ForgeStalled, ForgeUnreachable
from servers.models import Health, Server

pytestmark = pytest.mark.django_db

HERE = parse_address("192.168.1.100", 7860)
THERE = parse_address("192.168.1.101", 7861)
FAILED = ForgeFailed("It failed (RuntimeError).", error_class="RuntimeError", reason="")


@pytest.fixture
def server() -> Server:
    return add_server(alias="Laptop", address=HERE)


def fail(server: Server, times: int = 1, error: Exception = FAILED) -> None:
    for _ in range(times):
        health.note(server, error)  # type: ignore[arg-type]
    server.refresh_from_db()


def let_time_pass(server: Server) -> None:
    hour = timedelta(hours=1)
    Server.objects.filter(pk=server.pk).update(held_until=F("held_until") - hour)


def look(server: Server, found: Health = Health.ONLINE) -> None:
    mark_health(server_id=server.pk, health=found, address=server.address)
    server.refresh_from_db()


def kinds() -> list[str]:
    return list(Event.objects.filter(subject_type="server").values_list("kind", flat=True))


def test_some_failures_do_not_hold_a_server(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED - 1)

    assert server.held_until is None
    assert kinds() == ["server.added"]


def test_enough_failures_in_a_row_hold_it_and_say_why(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED)

    assert server.held_until is not None
    assert server.held_reason == (
        "Laptop failed 5 jobs in a row. The last time: It failed (RuntimeError)."
    )
    assert kinds() == ["server.added", "server.held"]


def test_a_success_between_begins_the_count_anew(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED - 1)
    holds.note_success(server)
    fail(server, breaker.FAILURES_ALLOWED - 1)

    assert server.held_until is None


def test_one_hang_is_enough(server) -> None:
    fail(server, error=ForgeStalled("No progress for 900 seconds."))

    assert server.held_reason.startswith("Laptop failed a job. The last time: No progress")


def test_a_server_that_is_away_is_not_held(server) -> None:
    fail(server, 20, error=ForgeUnreachable("refused"))

    assert (server.failures, server.held_until) == (0, None)


def test_it_is_not_tried_before_its_time(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED)

    look(server)

    assert server.held_until is not None


@pytest.mark.parametrize("found", [Health.OFFLINE, Health.UNAUTHORIZED, Health.NOT_READY])
def test_it_is_not_tried_while_it_does_not_answer(server, found) -> None:
    fail(server, breaker.FAILURES_ALLOWED)
    let_time_pass(server)

    look(server, found)

    assert server.held_until is not None


def test_a_look_that_finds_it_well_after_its_time_puts_it_on_trial(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED)
    let_time_pass(server)

    look(server)

    assert (server.held_until, server.held_reason, server.holds) == (None, "", 1)
    assert kinds()[-1] == "server.tried"


def test_a_failure_on_trial_holds_it_again_and_longer(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED)
    let_time_pass(server)
    look(server)

    fail(server)

    assert (server.holds, server.held_until is not None) == (2, True)


def test_a_success_on_trial_releases_it(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED)
    let_time_pass(server)
    look(server)

    holds.note_success(server)

    server.refresh_from_db()
    assert (server.failures, server.holds) == (0, 0)
    assert kinds()[-1] == "server.released"


def test_a_person_releases_it(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED)

    released = resume_server(server_id=server.pk)

    assert (released.failures, released.holds, released.held_until) == (0, 0, None)
    assert released.held_reason == ""
    assert kinds()[-1] == "server.resumed"


def test_another_address_begins_with_a_clean_record(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED)

    moved = update_server(server_id=server.pk, address=THERE)

    assert (moved.failures, moved.held_until) == (0, None)


def test_a_failure_at_the_address_it_had_before_is_not_counted(server) -> None:
    before = Server.objects.get()
    update_server(server_id=server.pk, address=THERE)

    fail(before, breaker.FAILURES_ALLOWED)

    assert (before.failures, before.held_until) == (0, None)


def test_a_server_that_is_added_again_is_not_held(server) -> None:
    fail(server, breaker.FAILURES_ALLOWED)
    remove_server(server_id=server.pk)

    again = add_server(alias="Laptop", address=HERE)

    assert (again.pk, again.failures, again.held_until) == (server.pk, 0, None)


def test_a_drain_ends_when_it_is_said_to_be_idle(server) -> None:
    drain_server(server_id=server.pk)
    server.refresh_from_db()
    assert (server.is_paused, server.drain) == (True, "draining")

    end_drain(server_id=server.pk)
    end_drain(server_id=server.pk)

    server.refresh_from_db()
    assert (server.is_paused, server.drain) == (True, "drained")
    assert kinds() == ["server.added", "server.draining", "server.drained"]


def test_a_resumed_server_is_not_drained_afterwards(server) -> None:
    drain_server(server_id=server.pk)
    resume_server(server_id=server.pk)

    end_drain(server_id=server.pk)

    server.refresh_from_db()
    assert (server.is_paused, server.drain) == (False, "")


def test_a_plain_pause_says_nothing_of_a_drain(server) -> None:
    drain_server(server_id=server.pk)

    assert pause_server(server_id=server.pk).drain == ""


def test_options_pinned_at_the_old_address_are_not_taken_for_the_new_ones(server) -> None:
    class Pins:
        def pin_options(self, keys):
            return tuple(keys)

    from servers.fleet import pin_options

    as_claimed = Server.objects.get()
    update_server(server_id=server.pk, address=THERE)

    pin_options(as_claimed, Pins(), ["CLIP_stop_at_last_layers"])  # type: ignore[arg-type]

    server.refresh_from_db()
    assert server.pinned_options == []
