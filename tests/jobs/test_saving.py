"""A disk that refuses for a while costs time, not a generation."""

import errno
import threading

import pytest
from django.db import connection

from jobs import disk, images, leaving, saving, settlement
from jobs.models import Job
from jobs.outcomes import Drawn
from tests.factories import make_claimed, png
from tests.flows.stack import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _short(settings):
    settings.WORKER_BEAT = 0.01


class Refusing:
    """A disk that refuses so many times."""

    def __init__(self, times):
        self.times = times

    def __call__(self):
        if self.times:
            self.times -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return "saved"


def test_a_step_is_done_again_until_the_disk_takes_it():
    job, _ = make_claimed()

    assert saving.patiently(Refusing(3), job=job) == "saved"

    assert "is full" in disk.pause()
    assert Job.objects.get(id=job.id).beat == 3


def test_nothing_is_saved_for_a_job_that_is_gone():
    job, _ = make_claimed()
    Job.objects.filter(id=job.id).update(attempt=job.attempt + 1)

    assert saving.patiently(Refusing(3), job=job) is None


def test_patience_ends(settings):
    settings.SAVE_PATIENCE = 0
    job, _ = make_claimed()

    with pytest.raises(OSError, match="No space"):
        saving.patiently(Refusing(1000), job=job)


def test_a_worker_that_has_to_go_leaves_the_job_to_another(settings, monkeypatch):
    settings.LEAVE_WITHIN = 0
    monkeypatch.setattr(leaving.departure, "_leave_at", None)
    leaving.departure.begin()
    job, _ = make_claimed()

    assert saving.patiently(Refusing(1000), job=job) is None

    job.refresh_from_db()
    assert job.status == "processing"


def test_pictures_that_cannot_get_their_names_wait_and_are_not_drawn_again(folders):
    job, _ = make_claimed()
    staged = images.stage(job_id=job.id, attempt=job.attempt, pictures=[png()], seeds=[1])
    elsewhere = folders.rename(folders.with_name("elsewhere"))
    settling = threading.Thread(target=_settle, args=(job, Drawn(staged, {})))

    settling.start()
    eventually(disk.pause, what="the refusal")
    elsewhere.rename(folders)
    settling.join()

    job.refresh_from_db()
    assert (job.status, job.retry_count) == ("completed", 0)
    assert images.path_of(staged[0].name).read_bytes() == png()


def _settle(job, outcome):
    settlement.settle(job, outcome)
    connection.close()
