"""A disk that refuses for a while costs time, not a generation."""

import errno

import pytest

from jobs import disk, saving
from jobs.models import Job
from tests.factories import make_claimed

pytestmark = pytest.mark.django_db


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
