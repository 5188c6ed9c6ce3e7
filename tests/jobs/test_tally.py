"""What the event log holds is counted once, a little at a time."""

from datetime import timedelta

import pytest

from events.models import Event
from jobs import lifecycle, slots, tally
from jobs.models import Job, Tally, TallyMark
from tests.factories import make_claimed, make_job, make_server

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def pictures_folder(settings, tmp_path):
    settings.OUTPUTS_DIR = tmp_path


def counts():
    """{(measure, label): count} of the first server's tally."""
    return {(row.measure, row.label): row.count for row in Tally.objects.all()}


def move(job, **seconds):
    """Set when the events of a job happened, in seconds after its submit."""
    submitted = Event.objects.get(kind="job.submitted", subject_id=str(job.id))
    for kind, after in seconds.items():
        events = Event.objects.filter(kind=f"job.{kind}", subject_id=str(job.id))
        events.update(at=submitted.at + timedelta(seconds=after))


def test_an_attempt_is_counted_with_its_outcome_and_the_time_it_took():
    job, _ = make_claimed()
    lifecycle.fail(job_id=job.id, attempt=1, code="MODEL_MISMATCH", message="wrong")
    move(job, claimed=7, failed=19)

    assert tally.advance() == Event.objects.count()

    row = Tally.objects.get(measure="attempt")
    assert (row.label, row.count, row.seconds) == ("failed MODEL_MISMATCH", 1, 12)
    assert row.server_id == job.server_id
    assert counts()["ended", "failed"] == 1
    assert counts()["wait", "10"] == 1


def test_events_are_counted_once():
    job, _ = make_claimed()
    lifecycle.release(job_id=job.id, attempt=1, code="SERVER_UNREACHABLE", message="off")

    tally.advance()
    before = counts()

    assert tally.advance() == 0
    assert counts() == before
    assert tally.uncounted() == 0


def test_a_job_is_counted_over_several_looks():
    job, lease = make_claimed()
    tally.advance()
    lifecycle.retry_later(job_id=job.id, attempt=1, code="CONNECTION_LOST", message="gone")
    slots.free(lease)
    tally.advance()
    Job.objects.update(not_before=None)
    make_claimed(job)
    lifecycle.complete(job=Job.objects.get(), attempt=2, pictures=[], result={"images": []})
    tally.advance()

    assert counts()["attempt", "retry CONNECTION_LOST"] == 1
    assert counts()["attempt", "completed"] == 1
    assert counts()["ended", "completed"] == 1
    assert sum(count for (measure, _), count in counts().items() if measure == "wait") == 1
    assert sum(count for (measure, _), count in counts().items() if measure == "duration") == 1


def test_a_cancelled_waiting_job_is_no_attempt():
    lifecycle.cancel(job_id=make_job().id)

    tally.advance()

    assert counts() == {("ended", "cancelled"): 1}


def test_a_rescued_attempt_is_one_attempt_however_its_recovery_ends():
    job, lease = make_claimed()
    lifecycle.rescue(job_id=job.id, lease=lease)
    lifecycle.retry_later(job_id=job.id, attempt=2, code="WORKER_LOST", message="gone")

    tally.advance()

    assert {key: n for key, n in counts().items() if key[0] == "attempt"} == {
        ("attempt", "retry WORKER_LOST"): 1
    }


def test_a_job_that_was_deleted_before_is_counted_under_no_server():
    job, _ = make_claimed()
    lifecycle.fail(job_id=job.id, attempt=1, code="X", message="x")
    lifecycle.delete(job_id=job.id)

    tally.advance()

    assert set(Tally.objects.values_list("server_id", flat=True)) == {0}


def test_a_long_log_is_counted_in_pieces(monkeypatch):
    monkeypatch.setattr(tally, "AT_ONCE", 3)
    server = make_server()
    for _ in range(5):
        lifecycle.cancel(job_id=make_job(server).id)

    assert tally.advance() == Event.objects.count()

    assert counts()["ended", "cancelled"] == 5
    assert TallyMark.objects.get().event_id == Event.objects.latest("id").id


def test_an_attempt_that_takes_longer_than_the_last_bound_is_counted_too():
    job, _ = make_claimed()
    lifecycle.complete(job=job, attempt=1, pictures=[], result={"images": []})
    move(job, claimed=1, completed=100_000)

    tally.advance()

    assert counts()["duration", "+Inf"] == 1
