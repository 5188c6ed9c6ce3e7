"""What crashes and time leave behind goes; what is in use, or nobody's, stays."""

import base64
import os
import shutil
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.utils import timezone

from events.models import Answer, Event
from jobs import images, inputs, lifecycle, strays, sweep, thumbnails
from jobs.models import Input
from tests.factories import make_claimed, make_completed, make_job, make_server, png

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = time.time() - 10 * 24 * 3600


@pytest.fixture(autouse=True)
def _outputs(folders):
    images.require_writable()


def stage(job, attempt=None):
    return images.stage(job_id=job.id, attempt=attempt or job.attempt, pictures=[png()], seeds=[1])


def age(*paths):
    for path in paths:
        os.utime(path, (LONG_AGO, LONG_AGO))


def stray_of(job):
    """A picture as a worker leaves it that dies between its name and its row."""
    [picture] = stage(job)
    images.publish([picture])
    images.discard_staging(job_id=job.id, attempt=job.attempt)
    age(images.path_of(picture.name))
    return images.path_of(picture.name)


def staging_folders():
    return {path.name for path in (images.path_of(images.STAGING)).iterdir()}


# --- pictures ------------------------------------------------------------------------------


def test_staging_of_a_running_attempt_stays_and_that_of_a_dead_one_goes():
    job, _ = make_claimed()
    stage(job)
    stage(job, attempt=job.attempt + 7)
    gone = make_job()
    lifecycle.delete(job_id=gone.id)
    stage(gone, attempt=1)

    sweep.sweep()

    assert staging_folders() == {f"{job.id}-{job.attempt}"}


def test_a_picture_of_a_dead_worker_goes_once_it_is_old():
    job, _ = make_claimed()
    stray = stray_of(job)
    lifecycle.fail(job_id=job.id, attempt=job.attempt, code="X", message="x")
    os.utime(stray)

    sweep.sweep()
    assert stray.exists()

    age(stray)
    sweep.sweep()
    assert not stray.exists()


def test_a_picture_whose_job_is_processing_is_never_touched():
    job, _ = make_claimed()
    stray = stray_of(job)

    sweep.sweep()

    assert stray.exists()


def test_a_completed_picture_is_never_touched():
    job = make_completed()
    path = images.path_of(job.images.get().name)
    age(path)

    sweep.sweep()

    assert path.exists()


def test_a_picture_of_a_deleted_job_goes():
    job = make_completed()
    path = images.path_of(job.images.get().name)
    content = path.read_bytes()
    lifecycle.delete(job_id=job.id)
    path.write_bytes(content)
    age(path)

    sweep.sweep()

    assert not path.exists()


@pytest.mark.parametrize(
    "name", ["holiday.png", "0badcafe_1700000000000_00000-1.png", "notes.txt", "x.webp"]
)
def test_what_is_not_ours_is_never_touched(folders, name):
    (folders / name).write_bytes(b"of somebody else")
    age(folders / name)

    sweep.sweep()

    assert (folders / name).exists()


def test_rows_whose_file_is_gone_are_counted_and_stay():
    jobs = [make_completed(make_job(server)) for server in [make_server()] * 2]
    images.path_of(jobs[0].images.get().name).unlink()

    sweep.sweep()

    assert sweep.missing_pictures() == 1
    assert jobs[0].images.count() == 1


def test_a_folder_that_is_not_ours_is_left_alone(folders):
    job = make_completed()
    folders.rename(folders.with_name("elsewhere"))
    folders.mkdir()
    other = folders / f"{str(job.id)[:8]}_1700000000000_00009-1.png"
    other.write_bytes(b"x")
    age(other)

    sweep.sweep()

    assert other.exists()


def test_the_sweep_goes_on_where_it_ended(monkeypatch):
    monkeypatch.setattr(strays, "AT_ONCE", 2)
    job, _ = make_claimed()
    found: set[Path] = set()
    while len(found) < 5:
        # Two of one millisecond have one name.
        found.add(stray_of(job))
    lifecycle.fail(job_id=job.id, attempt=job.attempt, code="X", message="x")

    for left in (3, 1, 0):
        sweep.sweep()
        assert sum(path.exists() for path in found) == left


def test_thumbnails_without_a_picture_and_old_drafts_go():
    job = make_completed()
    thumbnails.make_due()
    kept = thumbnails.path_of(job.images.get().name, "small")
    stray = kept.with_name("0badcafe_1700000000000_00000-1.png.webp")
    draft = kept.with_name(f"{kept.name}.77.draft")
    shutil.copy(kept, stray)
    shutil.copy(kept, draft)
    age(draft)

    sweep.sweep()

    assert [path.exists() for path in (kept, stray, draft)] == [True, False, False]


# --- inputs --------------------------------------------------------------------------------


def kept_input(content=None):
    """An input that a job uses."""
    body = {"init_images": [_base64(content or png())]}
    with inputs.kept(body) as (parameters, rows):
        job = lifecycle.submit(
            server=make_server(f"S{uuid4().hex[:6]}"),
            kind="img2img",
            parameters=parameters,
            seed=1,
            inputs=rows,
        )
    return job, rows[0].sha256


def _base64(content):
    return base64.b64encode(content).decode()


def test_an_input_that_no_job_uses_goes_once_it_is_old():
    _, used = kept_input(png("red"))
    job, unused = kept_input(png("blue"))
    job.inputs.clear()

    sweep.sweep()
    assert inputs.path_of(unused).exists()

    Input.objects.update(created_at=timezone.now() - timedelta(days=9))
    sweep.sweep()
    assert not inputs.path_of(unused).exists()
    assert inputs.path_of(used).exists()
    assert set(Input.objects.values_list("sha256", flat=True)) == {used}


def test_input_files_that_no_row_knows_and_old_drafts_go(settings):
    _, used = kept_input()
    stray = inputs.path_of("ab" * 32)
    draft = stray.with_name(f"{inputs.DRAFT}xyz")
    foreign = stray.with_name("notes.txt")
    stray.parent.mkdir()
    for path in (stray, draft, foreign):
        path.write_bytes(b"x")
    age(stray, draft, foreign, inputs.path_of(used))

    sweep.sweep()

    found = [path.exists() for path in (stray, draft, foreign, inputs.path_of(used))]
    assert found == [False, False, True, True]
    assert Input.objects.count() == 1


# --- rows ----------------------------------------------------------------------------------


def make_old(days):
    Event.objects.update(at=timezone.now() - timedelta(days=days))


def test_events_go_after_a_month_but_not_those_of_jobs_that_have_not_ended():
    waiting = make_job()
    ended = make_job()
    lifecycle.cancel(job_id=ended.id)
    make_old(days=31)
    recent = make_job()

    sweep.sweep()

    jobs = Event.objects.filter(subject_type="job").values_list("subject_id", flat=True)
    assert set(jobs) == {str(waiting.id), str(recent.id)}


def test_events_of_old_waiting_jobs_do_not_stand_in_the_way_of_others(monkeypatch):
    monkeypatch.setattr("events.forgetting.AT_ONCE", 3)
    server = make_server()
    [make_job(server) for _ in range(3)]
    ended = [make_job(server) for _ in range(3)]
    for job in ended:
        lifecycle.cancel(job_id=job.id)
    make_old(days=31)

    for _ in range(5):
        sweep.sweep()

    assert Event.objects.filter(subject_id__in=[str(job.id) for job in ended]).count() == 0


def test_expired_answers_go():
    made = {"route": "/x", "fingerprint": "x", "status": 200}
    Answer.objects.create(scope="page", key="old", **made)
    Answer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    Answer.objects.create(scope="page", key="new", **made)

    sweep.sweep()

    assert list(Answer.objects.values_list("key", flat=True)) == ["new"]


def test_a_step_that_the_disk_refuses_does_not_stop_the_others(folders, caplog):
    caplog.set_level("INFO")
    make_completed()
    (folders / thumbnails.FOLDER).write_bytes(b"a file in the folder's place")
    job = make_job()
    lifecycle.cancel(job_id=job.id)
    make_old(days=31)

    sweep.sweep()

    assert not Event.objects.filter(subject_id=str(job.id)).exists()
    lines = [record.message for record in caplog.records if record.message.startswith("sweep: ")]
    assert len(lines) == 1


def test_a_sweep_is_needed_only_after_something_happened():
    sweep.sweep()
    assert not sweep.is_needed()

    make_job()
    assert sweep.is_needed()
    sweep.sweep()
    assert not sweep.is_needed()


def test_a_sweep_that_went_part_of_the_way_is_needed_again(monkeypatch):
    monkeypatch.setattr(strays, "AT_ONCE", 1)
    make_completed()

    sweep.sweep()

    assert sweep.is_needed()
