"""Disks without room hold everything, and let go by themselves."""

import errno
import shutil
import subprocess
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from events.models import Event
from jobs import disk, forecast, images, phases
from jobs.models import Disk, Job
from stablequeue_project.queue_now import queue_now
from tests.factories import make_completed, make_job

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _room(folders, settings):
    settings.MIN_FREE = 1


def free_now(settings):
    return shutil.disk_usage(settings.OUTPUTS_DIR).free


def shown(job):
    return phases.of(Job.objects.with_everything_shown().get(id=job.id))


def test_with_room_nothing_is_held():
    disk.look()

    assert disk.pause() == ""
    assert {seen.folder for seen in Disk.objects.all()} == {"pictures", "inputs"}
    assert not Disk.objects.filter(free_bytes=None).exists()


def test_a_disk_without_room_is_told_by_jobs_page_and_status(settings):
    job = make_job()
    settings.MIN_FREE = free_now(settings) * 2

    disk.look()

    reason = disk.pause()
    assert "only" in reason
    assert "Free some space" in reason
    assert (shown(job).word, shown(job).reason) == ("paused", reason)
    assert queue_now("all").held == reason
    assert reason in Client().get("/").content.decode()


def test_it_goes_on_only_when_there_is_more_room_than_it_stopped_at(settings):
    settings.MIN_FREE = free_now(settings) * 2
    disk.look()

    settings.MIN_FREE = int(free_now(settings) * 0.95)
    disk.look()
    assert disk.pause()

    settings.MIN_FREE = free_now(settings) // 2
    disk.look()
    assert disk.pause() == ""
    kinds = Event.objects.filter(subject_id="pictures").values_list("kind", flat=True)
    assert list(kinds) == ["storage.paused", "storage.resumed"]


def test_a_switched_off_watch_holds_nothing(settings):
    settings.MIN_FREE = 0

    disk.look()

    assert disk.pause() == ""


def test_what_nobody_has_seen_for_long_holds_nothing(settings):
    settings.MIN_FREE = free_now(settings) * 2
    disk.look()
    assert disk.pause()

    Disk.objects.update(seen_at=timezone.now() - timedelta(seconds=settings.DISK_FACTS_KEPT + 1))

    assert disk.pause() == ""


def test_a_folder_that_is_gone_is_told_with_what_helps(folders):
    make_completed()
    folders.rename(folders.with_name("elsewhere"))

    disk.look()
    assert "Mount its disk" in disk.pause()

    folders.with_name("elsewhere").rename(folders)
    disk.look()
    assert disk.pause() == ""


def test_a_read_only_disk_is_told(folders):
    def mount(options):
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folders)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    if not mount("size=1m"):
        pytest.skip("needs the right to mount")
    try:
        (folders / images.MARK).touch()
        disk.look()
        assert disk.pause() == ""
        assert mount("remount,ro")

        disk.look()
        assert "is read-only" in disk.pause()
    finally:
        subprocess.run(["umount", "--lazy", str(folders)], check=True)


def test_a_refused_worker_holds_everything_while_it_says_so(settings):
    disk.note_refusal(OSError(errno.ENOSPC, "No space left on device"))
    assert "is full" in disk.pause()

    long_ago = timezone.now() - timedelta(seconds=settings.DISK_REFUSAL_KEPT + 1)
    Disk.objects.update(refused_at=long_ago)

    assert disk.pause() == ""


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EROFS, "is read-only"),
        (errno.EACCES, "Mend its rights"),
        (errno.EDQUOT, "is full"),
        (errno.EIO, "cannot be written"),
    ],
)
def test_each_trouble_is_told_in_its_own_words(number, words):
    assert words in disk.sentence_of(OSError(number, "x"))


def test_the_reason_costs_no_query_per_job(django_assert_num_queries):
    job = make_job()
    jobs = list(Job.objects.with_everything_shown())

    with django_assert_num_queries(0):
        phase = phases.of(jobs[0])
    assert phase is not None
    assert phase.word == "queued"
    assert forecast.queue_position(job) == 1
