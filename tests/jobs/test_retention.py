"""Old jobs go when somebody said so, the oldest first; what is starred or alive stays."""

from datetime import timedelta

import pytest
from django.utils import timezone

from events.models import Event
from jobs import images, lifecycle, retention, storage_use, thumbnails
from jobs.models import Job
from tests.factories import make_completed, make_job, make_server

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _outputs(folders):
    """Each test has folders of its own."""


@pytest.fixture
def server():
    return make_server()


def ended(server, *, days, starred=False):
    """A completed job of one picture that ended so many days ago."""
    job = make_completed(make_job(server))
    at = timezone.now() - timedelta(days=days)
    Job.objects.filter(id=job.id).update(finished_at=at, is_starred=starred)
    return job


def left():
    return set(Job.objects.values_list("id", flat=True))


def size_of(job):
    return job.images.get().bytes


def test_by_default_everything_is_kept_for_ever(server):
    job = ended(server, days=10_000)

    assert not retention.is_set()
    assert retention.apply() == 0
    assert left() == {job.id}


def test_by_age_what_is_older_goes_and_the_starred_and_the_living_stay(server):
    old, young = ended(server, days=8), ended(server, days=6)
    starred, waiting = ended(server, days=900, starred=True), make_job(server)
    Job.objects.filter(id=waiting.id).update(created_at=timezone.now() - timedelta(days=900))
    retention.set_rule(keep_days=7, keep_bytes=None)

    assert retention.apply() == 1

    assert left() == {young.id, starred.id, waiting.id}
    assert not images.path_of(old.result["images"][0]).exists()


def test_failed_and_cancelled_jobs_age_too(server):
    job = make_job(server)
    lifecycle.cancel(job_id=job.id)
    Job.objects.update(finished_at=timezone.now() - timedelta(days=8))
    retention.set_rule(keep_days=7, keep_bytes=None)

    assert retention.apply() == 1


def test_by_size_the_oldest_go_until_the_rest_fits(server):
    jobs = [ended(server, days=days) for days in (4, 3, 2, 1)]
    retention.set_rule(keep_days=None, keep_bytes=size_of(jobs[0]) * 2)

    assert retention.apply() == 2

    assert left() == {jobs[2].id, jobs[3].id}


def test_by_size_the_starred_count_and_stay(server):
    starred = ended(server, days=9, starred=True)
    jobs = [ended(server, days=days) for days in (3, 2)]
    retention.set_rule(keep_days=None, keep_bytes=size_of(starred) * 2)

    retention.apply()

    assert left() == {starred.id, jobs[1].id}


def test_by_size_a_picture_just_drawn_stays(server):
    job = make_completed(make_job(server))
    retention.set_rule(keep_days=None, keep_bytes=1)

    assert retention.apply() == 0
    assert left() == {job.id}


def test_thumbnails_count_and_go_with_the_job(server):
    old, young = ended(server, days=2), ended(server, days=1)
    thumbnails.make_due()
    use = storage_use.now()
    assert use.thumbnail_bytes > 0
    retention.set_rule(keep_days=None, keep_bytes=use.picture_bytes + use.thumbnail_bytes - 1)

    retention.apply()

    assert left() == {young.id}
    assert not thumbnails.path_of(old.result["images"][0], "small").exists()


def test_a_step_is_bounded_and_the_next_one_goes_on(server, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    for days in (9, 10, 11):
        ended(server, days=days)
    retention.set_rule(keep_days=7, keep_bytes=None)

    assert [retention.apply(), retention.apply(), retention.apply()] == [2, 1, 0]


def test_starred_jobs_do_not_stand_in_the_way_of_others(server, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    starred = [ended(server, days=days, starred=True) for days in (20, 21, 22)]
    ended(server, days=8)
    retention.set_rule(keep_days=7, keep_bytes=None)

    assert retention.apply() == 1
    assert left() == {job.id for job in starred}


def test_the_event_of_an_expired_job_says_why(server):
    job = ended(server, days=8)
    retention.set_rule(keep_days=7, keep_bytes=None)

    retention.apply()

    event = Event.objects.get(subject_id=str(job.id), kind="job.deleted")
    assert event.data == {"status": None, "because": "age"}


def test_a_job_starred_in_the_last_moment_stays(server):
    job = ended(server, days=8)
    lifecycle.star(job_id=job.id, starred=True)

    assert not lifecycle.expire(job_id=job.id, because="age")
    assert left() == {job.id}


def test_starring_twice_is_one_event(server):
    job = ended(server, days=1)

    assert lifecycle.star(job_id=job.id, starred=True).is_starred
    lifecycle.star(job_id=job.id, starred=True)
    assert not lifecycle.star(job_id=job.id, starred=False).is_starred

    kinds = Event.objects.filter(kind__contains="starred").values_list("kind", flat=True)
    assert list(kinds) == ["job.starred", "job.unstarred"]
