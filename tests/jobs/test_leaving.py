"""A worker that was told to stop has some time left, and uses it for what ends in it."""

import os

import pytest
from celery.signals import worker_shutting_down

from jobs import leaving, recovery, runner, slots
from jobs.leaving import Departure, Leaving
from jobs.models import Job, Slot
from jobs.pulse import Pulse
from tests.factories import admit, make_claimed, make_job


@pytest.fixture
def departure(monkeypatch):
    """This process's own, which is told to stay again after the test."""
    monkeypatch.setattr(leaving.departure, "_leave_at", None)
    return leaving.departure


def test_before_a_stop_there_is_time_for_anything():
    Departure().require_time(eta_seconds=1e9)


def test_after_a_stop_there_is_time_for_what_ends_soon_or_says_nothing(settings):
    settings.LEAVE_WITHIN = 100
    stopped = Departure()
    stopped.begin()

    stopped.require_time(eta_seconds=50)
    stopped.require_time(eta_seconds=150)
    stopped.require_time(eta_seconds=None)
    with pytest.raises(Leaving):
        stopped.require_time(eta_seconds=300)


def test_when_the_time_is_over_nothing_is_waited_for(settings):
    settings.LEAVE_WITHIN = 0
    stopped = Departure()
    stopped.begin()

    with pytest.raises(Leaving):
        stopped.require_time()


def test_a_second_stop_gives_no_more_time(settings):
    settings.LEAVE_WITHIN = 0
    stopped = Departure()
    stopped.begin()
    settings.LEAVE_WITHIN = 100
    stopped.begin()

    with pytest.raises(Leaving):
        stopped.require_time()


def test_the_word_of_celery_begins_it(departure):
    worker_shutting_down.send(sender="worker@here", sig="SIGTERM", how="Warm", exitcode=os.EX_OK)

    assert departure.has_begun


@pytest.mark.django_db(transaction=True)
def test_nothing_is_claimed_after_a_stop(departure):
    job = make_job()
    attempt = admit(job)
    assert attempt is not None
    departure.begin()

    runner.run(job_id=job.id, attempt=attempt, worker="w1")

    job.refresh_from_db()
    assert job.status == Job.Status.PENDING
    assert Slot.objects.get(job=job).state == Slot.State.ADMITTED


@pytest.mark.django_db(transaction=True)
def test_no_recovery_is_begun_after_a_stop(departure):
    job, lease = make_claimed()
    slots.mark_sent(lease)
    slots.leave(lease)
    before = Slot.objects.get(job=job).beat
    departure.begin()

    recovery.recover(server_id=lease.server_id, attempt=lease.attempt, worker="w2")

    assert Slot.objects.get(job=job).beat == before


@pytest.mark.django_db(transaction=True)
def test_a_lease_beats_no_more_when_there_is_no_time(departure, settings):
    settings.LEAVE_WITHIN = 0
    _, lease = make_claimed()
    slots.mark_sent(lease)
    departure.begin()

    with pytest.raises(Leaving):
        Pulse(lease).beat(phase="generating", eta_seconds=1.0)
