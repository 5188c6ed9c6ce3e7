"""Whatever comes in whatever order, a job only ever makes the changes that are drawn."""

import contextlib
import random

import pytest

from events.models import Event
from jobs import images, lifecycle, slots
from jobs.errors import JobError
from jobs.models import Job, Slot
from jobs.slots import Lease
from tests.factories import admit, make_job, make_server

pytestmark = pytest.mark.django_db(transaction=True)


class Story:
    """One job, and everybody who might do something to it, at any moment."""

    def __init__(self, server, seed):
        self.random = random.Random(seed)
        self.job = make_job(server)
        self.attempts = [1]
        self.leases = [Lease(server.id, "never given", 1)]

    def act(self):
        workers = (self.claim, self.send, self.complete, self.fail, self.retry, self.release)
        slot = (self.free, self.hand_over, self.withdraw)
        persons = (self.cancel, self.again)
        verb = self.random.choice([self.admit, *workers, *slot, self.rescue, *persons])
        with contextlib.suppress(JobError):
            verb()

    def admit(self):
        if attempt := admit(self.job):
            self.attempts.append(attempt)

    def claim(self):
        claimed = lifecycle.claim(job_id=self.job.id, attempt=self.attempt, worker="w")
        if claimed:
            self.leases.append(claimed[1])

    def send(self):
        slots.mark_sent(self.lease)

    def complete(self):
        pictures = images.stage(
            job_id=self.job.id, attempt=self.attempt, pictures=[b"x"], seeds=[1]
        )
        lifecycle.complete(job=self.job, attempt=self.attempt, pictures=pictures, result={})

    def fail(self):
        lifecycle.fail(job_id=self.job.id, attempt=self.attempt, code="X", message="x")

    def retry(self):
        lifecycle.retry_later(job_id=self.job.id, attempt=self.attempt, code="X", message="x")

    def release(self):
        lifecycle.release(job_id=self.job.id, attempt=self.attempt, code="X", message="x")

    def rescue(self):
        if lifecycle.rescue(job_id=self.job.id, lease=self.lease):
            self.attempts.append(self.lease.attempt + 1)

    def cancel(self):
        lifecycle.cancel(job_id=self.job.id)

    def again(self):
        lifecycle.retry(job_id=self.job.id)

    def withdraw(self):
        lifecycle.withdraw(job_id=self.job.id, attempt=self.attempt)

    def free(self):
        slots.free(self.lease)

    def hand_over(self):
        slots.hand_over(self.lease)

    @property
    def attempt(self):
        return self.random.choice(self.attempts)

    @property
    def lease(self):
        return self.random.choice(self.leases)


@pytest.mark.parametrize("seed", range(12))
def test_only_drawn_changes_happen_and_attempts_only_grow(seed, settings, tmp_path):
    settings.OUTPUTS_DIR = tmp_path
    story = Story(make_server(), seed)
    before = Job.objects.get()

    for _ in range(40):
        story.act()
        after = Job.objects.get()
        assert after.status == before.status or (before.status, after.status) in (
            lifecycle.TRANSITIONS
        )
        assert after.attempt >= before.attempt
        assert before.status != "completed" or after == before
        before = after

    slot = Slot.objects.get()
    assert slot.job_id is None or before.status in ("pending", "processing")
    statuses = [event.data["status"] for event in Event.objects.filter(subject_type="job")]
    assert statuses[-1] == before.status
    assert "completed" not in statuses[:-1]
