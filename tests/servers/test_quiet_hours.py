"""The hours in which a server is to start nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client

from apikeys import registry
from events.models import Event
from servers import fleet, rests
from servers.address import Address
from servers.models import Server
from servers.quiet_hours import quiet_until
from tests.callers import key_headers, send_json

NIGHT = {"from": "22:00", "to": "07:00"}
SERVERS = "/api/v1/servers"


def at(text, zone="UTC"):
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def until(spans, now, zone="UTC"):
    found = quiet_until(spans, zone, at(now))
    return found and found.astimezone(UTC).isoformat(timespec="minutes").replace("+00:00", "")


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-25T21:59", None),
        ("2026-11-25T22:00", "2026-11-26T07:00"),
        ("2026-11-26T06:59", "2026-11-26T07:00"),
        ("2026-11-26T07:00", None),
        ("2026-11-26T12:00", None),
    ],
)
def test_a_night_begins_on_one_day_and_ends_on_the_next(now, end):
    assert until([NIGHT], now) == end


def test_the_clock_is_the_one_on_the_wall_also_when_it_is_put_back():
    # In Berlin 22:00 is 20:00 in summer; that night the clocks went back to winter at 3.
    assert until([NIGHT], "2026-10-24T20:00", "Europe/Berlin") == "2026-10-25T06:00"
    assert until([NIGHT], "2026-10-24T19:59", "Europe/Berlin") is None


def test_days_are_those_on_which_a_span_begins():
    friday = {**NIGHT, "days": ["fri"]}

    assert until([friday], "2026-11-28T03:00") == "2026-11-28T07:00"
    assert until([friday], "2026-11-27T03:00") is None
    assert until([friday], "2026-11-28T23:00") is None


def test_spans_that_touch_are_one():
    spans = [{"from": "20:00", "to": "23:00"}, {"from": "23:00", "to": "01:00"}]

    assert until(spans, "2026-11-25T20:30") == "2026-11-26T01:00"


def test_a_span_that_ends_when_it_begins_lasts_all_day_and_so_for_ever():
    found = quiet_until([{"from": "09:00", "to": "09:00"}], "UTC", at("2026-11-25T10:00"))

    assert found is not None
    assert found > at("2026-11-25T10:00") + timedelta(days=7)


def test_a_zone_that_is_no_more_is_taken_for_utc():
    assert until([NIGHT], "2026-11-25T23:00", "Mars/Olympus") == "2026-11-26T07:00"


# --- the dispatcher's part -----------------------------------------------------------


@pytest.fixture
def server(db):
    return fleet.add_server(
        alias="Laptop", address=Address("http", "127.0.0.1", 7860), quiet_hours=[NIGHT]
    )


def kinds():
    return list(Event.objects.filter(subject_type="server").values_list("kind", flat=True))[1:]


def test_a_server_rests_when_its_hours_begin_and_is_awake_when_they_end(server):
    for hour in ("21:00", "22:30", "23:00"):
        rests.mind_the_hours(at(f"2026-11-25T{hour}"))
    assert Server.objects.get().quiet_until == at("2026-11-26T07:00")

    rests.mind_the_hours(at("2026-11-26T07:00"))

    assert Server.objects.get().quiet_until is None
    assert kinds() == ["server.resting", "server.awake"]


def test_other_hours_while_it_rests_are_no_second_rest(server):
    rests.mind_the_hours(at("2026-11-25T23:00"))

    fleet.update_server(server_id=server.pk, quiet_hours=[{**NIGHT, "to": "08:00"}])
    rests.mind_the_hours(at("2026-11-25T23:01"))

    assert Server.objects.get().quiet_until == at("2026-11-26T08:00")
    assert kinds() == ["server.resting", "server.updated"]


def test_a_server_whose_hours_are_taken_away_is_awake(server):
    rests.mind_the_hours(at("2026-11-25T23:00"))

    fleet.update_server(server_id=server.pk, quiet_hours=[])
    rests.mind_the_hours(at("2026-11-25T23:01"))

    assert Server.objects.get().quiet_until is None


def test_new_hours_are_no_reason_to_forget_the_health(server):
    Server.objects.update(health="online")

    fleet.update_server(server_id=server.pk, time_zone="Europe/Berlin")

    assert Server.objects.get().health == "online"


# --- over the API --------------------------------------------------------------------


@pytest.fixture
def call(db):
    headers = key_headers(registry.create(name="Forge extension"))
    return lambda method, path, body: send_json(Client(), method, path, body, **headers)


def test_hours_are_told_and_shown(call):
    body = {"alias": "Main", "host": "10.0.0.5", "quiet_hours": [NIGHT], "time_zone": "Asia/Tokyo"}
    call("POST", SERVERS, body)

    changed = call("PUT", f"{SERVERS}/Main", {"quiet_hours": [{**NIGHT, "days": ["sun"]}]})

    assert changed.status_code == 200
    shown = Client().get(SERVERS, headers=key_headers(registry.create(name="x"))).json()[0]
    assert shown["quiet_hours"] == [{**NIGHT, "days": ["sun"]}]
    assert (shown["time_zone"], shown["quiet_until"]) == ("Asia/Tokyo", None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"quiet_hours": [{"from": "24:00", "to": "07:00"}]},
        {"quiet_hours": [{"from": "22:00"}]},
        {"quiet_hours": [{**NIGHT, "days": ["someday"]}]},
        {"quiet_hours": [NIGHT] * 21},
        {"quiet_hours": "at night"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
    ],
)
def test_hours_that_are_none_are_refused(call, wrong):
    answer = call("POST", SERVERS, {"alias": "Main", "host": "10.0.0.5", **wrong})

    assert answer.status_code == 400
    assert not Server.objects.exists()
