"""When jobs will have their turn, and be done."""

from datetime import datetime, timedelta

import pytest
from django.test import Client

from apikeys import registry
from jobs import forecast, lifecycle, line, queue_pause, slots
from jobs.drafts import Draft
from jobs.models import Job, Slot
from servers import fleet
from servers.models import Server
from tests.callers import key_headers
from tests.factories import make_claimed, make_job, make_server

pytestmark = pytest.mark.django_db(transaction=True)

WORK = 100 * 100 * 10
"""Of one of the jobs below: a second's work of the server below."""


@pytest.fixture
def server():
    server = make_server()
    Server.objects.update(speed=WORK, load_seconds=5)
    server.refresh_from_db()
    return server


@pytest.fixture
def call():
    headers = key_headers(registry.create(name="Forge extension"))
    return lambda path: Client().get(f"/api/v1/{path}", headers=headers).json()


def job_of(server, **parameters):
    return make_job(server, **{"width": 100, "height": 100, "steps": 10, **parameters})


def forecast_of(job):
    return forecast.of(Job.objects.with_everything_shown().get(id=job.id))


def times(job):
    told = forecast_of(job)
    return told.place, told.start.expected, told.end.expected


def end_of(batch):
    end = forecast.of_batch(batch)
    return end and end.expected


def moment(text):
    return datetime.fromisoformat(text)


def test_a_job_starts_when_all_before_it_are_drawn(server):
    jobs = [job_of(server), job_of(server, num_images=3), job_of(server)]

    assert [times(job) for job in jobs] == [(1, 0, 1), (2, 1, 4), (3, 4, 5)]


def test_what_is_being_drawn_counts_by_what_is_left_of_it(server):
    running, lease = make_claimed(job_of(server))
    waiting = job_of(server)
    slots.mark_sent(lease)
    slots.beat(lease, progress=0.25)

    assert times(waiting) == (1, 0.75, 1.75)
    told = forecast_of(running)
    assert (told.place, told.start, told.end.expected) == (None, None, 0.75)
    slots.beat(lease, progress=0.25, eta_seconds=9)
    assert forecast_of(running).end.expected == 9


def test_checkpoints_to_be_loaded_take_their_time(server):
    Slot.objects.update(loaded="a")
    for name in "abab":
        job_of(server, checkpoint_name=name)
    last = job_of(server, checkpoint_name="c")

    assert times(last) == (5, 4 + 5, 4 + 5 + 1 + 5)


def test_the_order_of_turns_is_the_order_of_times(server):
    keys = [registry.create(name=name).api_key for name in "AB"]
    parameters = {"prompt": "x", "width": 100, "height": 100, "steps": 10}
    jobs = [
        lifecycle.submit(server=server, kind="txt2img", parameters=parameters, seed=1, key=key)
        for key in (keys[0], keys[0], keys[0], keys[1])
    ]
    line.to_front(job_id=jobs[2].id)

    assert [times(job)[1] for job in jobs] == [1, 3, 0, 2]


def test_a_server_that_drew_nothing_gives_a_place_and_no_time(server):
    Server.objects.update(speed=None)
    job_of(server)
    job = job_of(server)

    assert forecast_of(job) == forecast.Forecast(place=2)


def test_what_waits_for_more_than_its_turn_has_no_time(server):
    job = job_of(server)

    queue_pause.pause()
    assert forecast_of(job) == forecast.Forecast(place=1)

    queue_pause.resume()
    fleet.pause_server(server_id=server.pk)
    assert forecast_of(job) == forecast.Forecast(place=1)


def test_an_ended_job_has_no_forecast(server):
    job = job_of(server)
    lifecycle.cancel(job_id=job.id)

    assert forecast_of(job) == forecast.Forecast()


def test_a_jobs_status_tells_its_place_and_intervals(server, call):
    job_of(server)
    job = job_of(server, num_images=10)

    told = call(f"queue/jobs/{job.id}/status")

    assert told["queue_position"] == 2
    assert told["estimated_time_remaining"] == 11.0
    start, end = (
        moment(told[name]["latest"]) - moment(told[name]["earliest"])
        for name in ("estimated_start", "estimated_end")
    )
    assert timedelta(seconds=0.5) < start < timedelta(seconds=0.8)
    assert timedelta(seconds=7) < end < timedelta(seconds=7.3)


def test_a_list_of_jobs_has_no_forecasts(server, call):
    job_of(server)

    [told] = call("queue/jobs")["jobs"]

    assert "queue_position" not in told


def test_a_batch_ends_when_its_last_job_does(server, call):
    parameters = {"prompt": "x", "width": 100, "height": 100, "steps": 10}
    drafts = [Draft("txt2img", parameters, seed) for seed in range(4)]
    batch, ids = lifecycle.submit_many(server=server, drafts=drafts)
    job_of(server)

    assert end_of(batch) == 4
    assert call(f"batches/{batch.id}")["estimated_end"]["latest"]
    line.to_back(job_id=ids[0])
    assert end_of(batch) == 5
    lifecycle.cancel_batch(batch_id=batch.id)
    assert call(f"batches/{batch.id}")["estimated_end"] is None


def test_speed_is_learned_from_what_is_drawn(bench):
    first = bench.run(bench.job(width=64, height=64, steps=4))

    bench.server.refresh_from_db()
    assert first.status == "completed"
    seconds = first.work / bench.server.speed
    assert 0.1 < seconds < 5
    assert forecast_of(bench.job(width=64, height=64, steps=4)).end.expected == pytest.approx(
        seconds
    )
