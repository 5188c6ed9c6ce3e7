"""The dispatcher sends each chore when it is due, and when there is work."""

import json

import pytest
import redis

from jobs import retention, sweep
from jobs.chores import Timetable
from jobs.post import CHORES, Post
from tests.factories import make_completed, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def queue(settings, folders):
    """The names of the tasks in the chores queue, taken out by a call."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    client.delete(CHORES)

    def taken():
        sent = [json.loads(message) for message in client.lrange(CHORES, 0, -1)]
        client.delete(CHORES)
        return sorted(message["headers"]["task"] for message in sent)

    yield taken
    client.delete(CHORES)
    client.close()


def test_what_is_always_needed_is_sent_at_once_and_then_not_before_its_time(queue):
    timetable, post = Timetable(), Post()
    make_job()

    timetable.send_due(post)
    timetable.send_due(post)

    assert queue() == ["jobs.look_at_disks", "jobs.sweep", "jobs.tally"]


def test_where_nothing_happens_only_looks_are_sent(queue):
    sweep.sweep()

    Timetable().send_due(Post())

    assert queue() == ["jobs.look_at_disks", "jobs.tally"]


def test_thumbnails_and_retention_are_sent_when_there_is_work(queue):
    make_completed()
    retention.set_rule(keep_days=7, keep_bytes=None)

    Timetable().send_due(Post())

    assert {"jobs.make_thumbnails", "jobs.apply_retention"} <= set(queue())
