"""Who listens learns of every change once, in order, wherever it begins and however it reads."""

from __future__ import annotations

import contextlib
import socket
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from apikeys import registry
from events import forgetting, log
from events.models import Event
from jobs import lifecycle, slots
from jobs.drafts import Draft
from stablequeue_project.stack import ports
from tests.callers import key_headers
from tests.factories import make_claimed, make_completed, make_job, make_server
from tests.flows.stack import eventually
from tests.project.web_process import database_of_this_test, web_process
from tests.streams import Stream

pytestmark = pytest.mark.django_db(transaction=True)

TCP_CLOSE = 7
WORKER = "stablequeue_project.web_worker.ImpatientWorker"
CONFIG = "python:stablequeue_project.gunicorn_config"
CONFIGURED = ("-k", WORKER, "--config", CONFIG, "--workers", "1")


@pytest.fixture(scope="module")
def port(tmp_path_factory, django_db_setup, django_db_blocker):
    """The web process as it runs in earnest, a tenth as patient, and of four streams only."""
    with django_db_blocker.unblock():
        served = {"DATABASE_URL": database_of_this_test(), "STABLEQUEUE_RATE_LIMIT": "off"}
    served |= {"STABLEQUEUE_TIME_SCALE": "0.1", "STABLEQUEUE_MAX_STREAMS": "6"}
    with web_process(tmp_path_factory.mktemp("web") / "log", *CONFIGURED, **served) as number:
        yield number


@pytest.fixture(autouse=True)
def _folders(folders):
    """Pictures lie in folders of the test."""


@pytest.fixture
def key():
    return registry.create(name="Listener")


@pytest.fixture
def listen(port, key):
    """Open a stream as the key holder."""
    with contextlib.ExitStack() as streams:

        def opened(path="/api/v1/events", **headers):
            headers = {**key_headers(key), **headers}
            return streams.enter_context(Stream(port, path, **headers))

        yield opened


def happen(count=1, **data):
    """Let something be recorded; returns the ids."""
    with transaction.atomic():
        log.record([log.Change("test.happened", "test", str(n), data) for n in range(count)])
    return list(Event.objects.order_by("-id").values_list("id", flat=True)[:count])[::-1]


def test_a_change_is_told_to_who_listens(listen):
    stream = listen()
    assert stream.first().kind == "ready"

    job = make_job()

    told = stream.until("job.submitted")[-1]
    stored = Event.objects.get(kind="job.submitted")
    assert told.id == stored.id == told.data["event_id"]
    assert told.data["job_id"] == str(job.id)
    assert told.data["server"] == "Laptop"
    assert told.data["data"] == stored.data


def test_changes_in_close_succession_are_told_without_waiting_for_a_further_one(listen):
    """The notice of one may come with the answer to what the other made us ask."""
    make_claimed(make_job())
    stream = listen("/api/v1/events?types=test.*")
    assert stream.first().kind == "ready"

    for _ in range(60):
        ids = [*happen(), *happen(), *happen()]
        assert [stream.next().id for _ in ids] == ids


def test_the_head_keeps_everybody_from_collecting_or_keeping_it(listen):
    head = listen().head.lower()

    assert "http/1.1 200 ok" in head
    assert "content-type: text/event-stream; charset=utf-8" in head
    assert "cache-control: no-store" in head
    assert "x-accel-buffering: no" in head
    assert "content-length" not in head
    assert "transfer-encoding" not in head


def test_who_comes_back_is_told_what_it_missed_and_then_what_is_new(listen):
    before = happen(3)

    stream = listen(Last_Event_ID=str(before[0]))
    assert stream.first().kind == "ready"
    missed = [stream.next().id for _ in before[1:]]
    after = happen(2)

    assert missed == before[1:]
    assert [stream.next().id for _ in after] == after


@pytest.mark.parametrize("name", ["last_event_id", "after"])
def test_the_place_may_stand_in_the_address(listen, name):
    before = happen(2)

    stream = listen(f"/api/v1/events?{name}={before[0]}")

    assert stream.first().kind == "ready"
    assert stream.next().id == before[1]


def test_the_header_counts_more_than_the_address(listen):
    before = happen(3)

    stream = listen(f"/api/v1/events?after={before[0]}", Last_Event_ID=str(before[1]))

    assert stream.first().kind == "ready"
    assert stream.next().id == before[2]


def test_old_events_are_told_from_the_log_without_gap_or_repetition(listen, port):
    """More than a page, and more than the web process has seen since it began to listen."""
    before = happen(1700)

    stream = listen(Last_Event_ID=str(before[0]))
    after = happen(600)

    told = [stream.next().id for _ in range(1 + 1699 + 600)][1:]
    assert told == before[1:] + after


def test_an_event_that_was_forgotten_leads_to_a_reset(listen):
    old = happen(3)
    Event.objects.filter(id__in=old).update(at=timezone.now() - timedelta(days=40))
    forgetting.forget(age=timedelta(days=30), after=0, alive=lambda jobs: jobs)

    stream = listen(Last_Event_ID=str(old[0]))
    told = stream.next()

    assert told.kind == "reset"
    assert told.data["last_event_id"] == told.id >= old[-1]
    assert "Read anew" in told.data["reason"]
    new = happen()
    assert stream.next().id == new[0]


def test_who_saw_the_last_forgotten_event_misses_nothing(listen):
    old = happen(3)
    Event.objects.filter(id__in=old).update(at=timezone.now() - timedelta(days=40))
    forgetting.forget(age=timedelta(days=30), after=0, alive=lambda jobs: jobs)
    new = happen()

    stream = listen(Last_Event_ID=str(old[-1]))

    assert [stream.next().kind, stream.next().id] == ["ready", new[0]]


@pytest.mark.parametrize("place", ["999999999999", "yesterday", "-1"])
def test_an_event_that_never_was_leads_to_a_reset(listen, place):
    happen()

    assert listen(Last_Event_ID=place).next().kind == "reset"


def test_filters_must_all_fit(listen, key):
    laptop, desk = make_server(), make_server("Desk")
    mine = lifecycle.submit(server=desk, kind="txt2img", parameters={}, seed=1, key=key.api_key)
    foreign = make_job(laptop)
    start = Event.objects.order_by("id").values_list("id", flat=True).first()
    about = f"types=job.*&server=desk&key={key.api_key.id}&job={mine.id}"

    stream = listen(f"/api/v1/events?{about}", Last_Event_ID=str(start))
    assert stream.first().kind == "ready"
    lifecycle.cancel(job_id=foreign.id)
    lifecycle.cancel(job_id=mine.id)

    told = stream.until("job.cancelled")
    assert [event.kind for event in told] == ["job.submitted", "job.cancelled"]
    assert {event.data["job_id"] for event in told} == {str(mine.id)}


def test_a_batch_can_be_listened_to(listen):
    server = make_server()
    draft = Draft("txt2img", {}, 1)
    batch, ids = lifecycle.submit_many(server=server, drafts=[draft, draft])

    stream = listen(f"/api/v1/events?batch={batch.id}")
    assert stream.first().kind == "ready"
    make_job(server)
    lifecycle.delete(job_id=ids[0])

    told = [stream.next(), stream.next()]
    assert [event.kind for event in told] == ["job.cancelled", "job.deleted"]
    assert {event.data["batch_id"] for event in told} == {str(batch.id)}


@pytest.mark.parametrize("query", ["types=%20", "types=a;b", "job=1", "after=-1", "after=x"])
def test_what_cannot_be_asked_for_is_refused(listen, query):
    stream = listen(f"/api/v1/events?{query}")

    assert stream.status == 400


def test_progress_is_told_without_an_id_and_only_when_it_changed(listen):
    job, lease = make_claimed(make_job())
    stream = listen("/api/v1/events?types=job.progress")
    assert stream.first().kind == "ready"

    slots.beat(lease, phase="generating", progress=0.25, eta_seconds=8.04)
    told = stream.next()
    while told.data["fraction"] != 0.25:
        told = stream.next()
    slots.beat(lease, phase="generating", progress=0.5, eta_seconds=4)

    assert told.id is None
    assert told.data == {
        "type": "job.progress",
        "job_id": str(job.id),
        "batch_id": None,
        "server": "Laptop",
        "fraction": 0.25,
        "eta_seconds": 8.0,
        "phase": "generating",
        "preview_url": f"/api/v1/queue/jobs/{job.id}/preview",
    }
    assert stream.next().data["fraction"] == 0.5


def test_the_stream_of_a_job_tells_its_life_and_ends_with_it(listen):
    job = make_job()
    stream = listen(f"/api/v1/queue/jobs/{job.id}/events")
    make_job(job.server)

    make_completed(job)

    told = [event.kind for event in stream.rest() if event.id is not None]
    assert told == ["ready", "job.submitted", "job.claimed", "job.completed"]


def test_the_stream_of_a_job_that_has_ended_tells_all_and_ends(listen):
    job = make_job()
    lifecycle.cancel(job_id=job.id)
    lifecycle.retry(job_id=job.id)
    lifecycle.cancel(job_id=job.id)

    told = [event.kind for event in listen(f"/api/v1/queue/jobs/{job.id}/events").rest()]

    assert told == ["ready", "job.submitted", "job.cancelled", "job.retried", "job.cancelled"]


def test_who_has_seen_the_end_of_a_job_is_told_not_to_come_back(listen):
    job = make_job()
    lifecycle.cancel(job_id=job.id)
    path = f"/api/v1/queue/jobs/{job.id}/events"
    last = listen(path).rest()[-1].id

    assert listen(path, Last_Event_ID=str(last)).status == 204


def test_a_job_that_is_not_there_has_no_stream(listen):
    assert listen("/api/v1/queue/jobs/none/events").status == 404
    missing = "00000000-0000-4000-8000-000000000000"
    assert listen(f"/api/v1/queue/jobs/{missing}/events").status == 404


def test_a_heartbeat_shows_that_the_stream_lives(listen):
    stream = listen()
    assert stream.first().kind == "ready"

    eventually(lambda: stream.line.recv(100) == b":\n\n", what="a heartbeat alone")


@pytest.mark.parametrize("end", ["disabled", "deleted"])
def test_a_key_that_ends_takes_its_streams_along(listen, key, end):
    stream = listen("/api/v1/events?types=job.*")
    assert stream.first().kind == "ready"

    if end == "disabled":
        registry.update(key.api_key.id, is_active=False)
    else:
        registry.delete(key.api_key.id)

    assert stream.rest() == []


def test_an_earlier_end_of_the_key_does_not_count(listen, key):
    start = happen()[0]
    registry.update(key.api_key.id, is_active=False)
    registry.update(key.api_key.id, is_active=True)

    stream = listen("/api/v1/events", Last_Event_ID=str(start))

    assert [stream.next().kind for _ in range(3)] == ["ready", *["api_key.updated"] * 2]
    assert happen() == [stream.next().id]


def test_without_a_key_there_is_no_stream(port):
    with Stream(port) as stream:
        assert stream.status == 401


def test_a_foreign_page_gets_no_stream(listen):
    assert listen(Origin="http://evil.example").status == 403


def test_a_page_of_an_allowed_origin_may_listen_with_a_key(listen):
    stream = listen(Origin="http://localhost:7860")

    assert stream.status == 200
    assert "access-control-allow-origin: http://localhost:7860" in stream.head.lower()


def test_more_streams_than_are_held_are_refused_until_one_is_closed(listen):
    streams = [listen() for _ in range(6)]
    assert {stream.status for stream in streams} == {200}

    refused = listen()
    assert refused.status == 503
    assert "retry-after: 10" in refused.head.lower()
    assert "too_many_streams" in refused.text()

    streams[0].line.close()
    eventually(lambda: listen().status == 200, what="a place")


def test_a_refused_request_keeps_no_place(listen, port):
    for _ in range(10):
        assert listen("/api/v1/events?job=1").status == 400
        with Stream(port, X_API_Key="mk_x", X_API_Secret="y") as wrong:
            assert wrong.status == 401

    assert listen().status == 200


def test_a_slow_reader_misses_nothing(listen):
    """It is told the rest once it reads: nothing waits for it in memory."""
    start = happen()[0]
    stream = listen(Last_Event_ID=str(start))
    assert stream.first().kind == "ready"

    filled = [happen(1000, text="x" * 4000) for _ in range(4)]

    expected = [event_id for ids in filled for event_id in ids]
    assert [stream.next().id for _ in expected] == expected


def test_a_reader_that_takes_nothing_any_more_is_cut_off(listen):
    stalled, other = listen(), listen()
    with transaction.atomic():
        log.record([log.Change("test.large", "test", "1", {"text": "x" * 60_000})] * 300)

    eventually(lambda: _is_cut(stalled), seconds=40, what="the cut")
    assert other.first().kind == "ready"


def _is_cut(stream):
    """Whether the connection is closed, seen without reading what waits."""
    [state] = stream.line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return state == TCP_CLOSE


def test_other_requests_are_served_while_streams_are_open(port, key, tmp_path):
    served = {"DATABASE_URL": database_of_this_test(), "STABLEQUEUE_RATE_LIMIT": "off"}
    log_file, few = tmp_path / "log", (*CONFIGURED, "--threads", "2")
    with web_process(log_file, *few, **served) as number, contextlib.ExitStack() as streams:
        for _ in range(30):
            stream = streams.enter_context(Stream(number, **key_headers(key)))
            assert stream.first().kind == "ready"

        with Stream(number, "/api/v1/queue/jobs", **key_headers(key)) as answer:
            assert answer.status == 200


def test_a_web_process_that_stops_ends_its_streams_at_once(key, tmp_path):
    served = {"DATABASE_URL": database_of_this_test()}
    with web_process(tmp_path / "log", *CONFIGURED, **served) as number:
        stream = Stream(number, **key_headers(key))
        assert stream.first().kind == "ready"
    # It has been stopped now.
    assert stream.rest() == []
    stream.line.close()
    assert ports.is_free(number)
