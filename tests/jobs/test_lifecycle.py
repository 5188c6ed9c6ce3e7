"""The verbs of a job's life, on a real database."""

import threading
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction

from events.models import Event
from jobs import backoff, images, lifecycle, slots
from jobs.errors import JobNotFound, JobOperationInvalid
from jobs.models import Image, Job, Slot
from jobs.slots import Lease
from tests.factories import admit, make_claimed, make_job, make_server
from tests.flows.stack import eventually

pytestmark = pytest.mark.django_db(transaction=True)

PNG = b"\x89PNG\r\n\x1a\n picture"


@pytest.fixture(autouse=True)
def _outputs(settings, tmp_path):
    settings.OUTPUTS_DIR = tmp_path


def stage(job, count=1):
    return images.stage(
        job_id=job.id, attempt=job.attempt, pictures=[PNG] * count, seeds=range(count)
    )


def complete(job, pictures):
    return lifecycle.complete(
        job=job, attempt=job.attempt, pictures=pictures, result={"images": []}
    )


def kinds(job):
    return list(Event.objects.filter(subject_id=str(job.id)).values_list("kind", flat=True))


def slot_of(job):
    return Slot.objects.get(server_id=job.server_id)


def test_a_job_goes_from_submit_to_complete_and_leaves_its_story():
    job, lease = make_claimed()
    slots.mark_sent(lease)
    slots.free(lease)

    assert complete(job, stage(job))

    job.refresh_from_db()
    assert job.status == "completed"
    assert job.finished_at is not None
    assert kinds(job) == ["job.submitted", "job.claimed", "job.completed"]
    assert [_on_disk(image) for image in job.images.all()] == [True]


def _on_disk(image):
    return images.path_of(image.name).read_bytes() == PNG


def test_a_slot_is_promised_to_one_job_at_a_time():
    server = make_server()
    first, second = make_job(server), make_job(server)

    assert admit(first) == 1
    assert admit(second) is None
    second.refresh_from_db()
    assert second.attempt == 0


def test_an_admitted_attempt_is_claimed_once():
    job = make_job()
    attempt = admit(job)

    assert attempt == 1

    first = lifecycle.claim(job_id=job.id, attempt=attempt, worker="w1")
    second = lifecycle.claim(job_id=job.id, attempt=attempt, worker="w2")

    assert first is not None
    assert second is None
    assert slot_of(job).worker == "w1"


def test_a_message_of_an_older_attempt_claims_nothing():
    job, _ = make_claimed()
    lifecycle.release(job_id=job.id, attempt=1, code="X", message="x")
    Slot.objects.update(state="free", task_id="")
    admit(job)

    assert lifecycle.claim(job_id=job.id, attempt=1, worker="late") is None
    assert lifecycle.claim(job_id=job.id, attempt=2, worker="w") is not None


def test_a_cancelled_waiting_job_gives_its_promised_slot_back():
    job = make_job()
    admit(job)

    cancelled = lifecycle.cancel(job_id=job.id)

    assert cancelled.status == "cancelled"
    assert cancelled.result == {"cancelled": True, "message": "Job cancelled by user"}
    assert slot_of(job).state == "free"


def test_a_cancelled_running_job_leaves_its_slot_draining_under_its_worker():
    job, lease = make_claimed()
    slots.mark_sent(lease)

    lifecycle.cancel(job_id=job.id)

    slot = slot_of(job)
    assert (slot.state, slot.worker, slot.job_id) == ("draining", "w1", None)
    assert slots.beat(lease) == Slot.State.DRAINING


def test_a_job_cancelled_between_claim_and_send_is_never_sent():
    job, lease = make_claimed()
    lifecycle.cancel(job_id=job.id)

    assert slots.mark_sent(lease) is False


def test_after_a_cancel_no_picture_appears():
    job, _ = make_claimed()
    pictures = stage(job)
    lifecycle.cancel(job_id=job.id)

    assert complete(job, pictures) is False
    assert not Image.objects.exists()
    assert not images.path_of(pictures[0].name).exists()


def test_an_ended_job_cannot_be_cancelled():
    job, _ = make_claimed()
    complete(job, stage(job))

    with pytest.raises(JobOperationInvalid, match="completed"):
        lifecycle.cancel(job_id=job.id)


def test_verbs_on_an_unknown_job_say_so():
    with pytest.raises(JobNotFound):
        lifecycle.cancel(job_id=uuid4())
    with pytest.raises(JobNotFound):
        lifecycle.delete(job_id=uuid4())


def test_deleting_a_job_takes_its_pictures_along_and_keeps_the_event():
    job, _ = make_claimed()
    pictures = stage(job)
    complete(job, pictures)

    lifecycle.delete(job_id=job.id)

    assert not Job.objects.exists()
    assert not images.path_of(pictures[0].name).exists()
    assert kinds(job)[-1] == "job.deleted"


def test_a_released_job_is_not_charged_and_a_retried_one_is():
    job, _ = make_claimed()

    lifecycle.release(job_id=job.id, attempt=1, code="FORGE_UNREACHABLE", message="off")

    job.refresh_from_db()
    assert (job.status, job.retry_count, job.errors) == ("pending", 0, [])

    Slot.objects.update(state="free", task_id="")
    job, _ = make_claimed(job)
    lifecycle.retry_later(job_id=job.id, attempt=2, code="FORGE_FAILED", message="out of memory")

    job.refresh_from_db()
    assert (job.status, job.retry_count) == ("pending", 1)
    assert job.errors[0]["code"] == "FORGE_FAILED"
    assert job.not_before is not None


def test_a_job_that_had_its_retries_fails_with_the_last_reason():
    job, _ = make_claimed()
    Job.objects.update(retry_count=backoff.MAX_RETRIES, attempt=9)

    lifecycle.retry_later(job_id=job.id, attempt=9, code="FORGE_FAILED", message="again")

    job.refresh_from_db()
    assert job.status == "failed"
    assert job.result == {"error": "FORGE_FAILED", "message": "again"}
    assert slot_of(job).state == "draining"


def test_a_rescued_job_shuts_its_old_worker_out():
    job, lease = make_claimed()
    slots.mark_sent(lease)
    pictures = stage(job)

    assert lifecycle.rescue(job_id=job.id, lease=lease)

    assert complete(job, pictures) is False
    assert slots.beat(lease) is None
    assert slots.free(lease) is False
    assert slot_of(job).worker == ""


def test_a_rescue_remembers_why_until_the_slot_is_free():
    job, lease = make_claimed()
    slots.mark_sent(lease)
    trouble = {"code": "FORGE_CONNECTION_LOST", "message": "It was cut."}

    lifecycle.rescue(job_id=job.id, lease=lease, trouble=trouble)
    again = Lease(lease.server_id, lease.task_id, 2)
    lifecycle.rescue(job_id=job.id, lease=again)
    assert slot_of(job).trouble == trouble

    slots.free(Lease(lease.server_id, lease.task_id, 3))
    assert Slot.objects.get().trouble is None


def test_a_drawn_job_is_taken_from_a_dead_saver_once():
    job, lease = make_claimed()
    pictures = stage(job)
    assert lifecycle.rescue_saving(job_id=job.id, attempt=1) is None
    slots.free(lease)

    taken = lifecycle.rescue_saving(job_id=job.id, attempt=1)

    assert taken is not None
    assert taken.attempt == 2
    assert lifecycle.rescue_saving(job_id=job.id, attempt=1) is None
    assert complete(job, pictures) is False


def test_a_drawn_job_that_completes_this_moment_is_not_taken_from_its_saver():
    job, lease = make_claimed()
    slots.free(lease)
    taken: list[Job | None] = []

    def take() -> None:
        taken.append(lifecycle.rescue_saving(job_id=job.id, attempt=1))
        connection.close()

    thread = threading.Thread(target=take)
    with transaction.atomic():
        complete(job, stage(job))
        thread.start()
        eventually(_somebody_waits_for_us, what="the rescue at the job's row")
    thread.join()

    job.refresh_from_db()
    assert taken == [None]
    assert (job.status, job.attempt) == ("completed", 1)
    assert kinds(job) == ["job.submitted", "job.claimed", "job.completed"]


def _somebody_waits_for_us():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
        return cursor.fetchone()[0]


def test_a_lease_of_the_same_attempt_number_on_another_job_writes_nothing():
    job, stale = make_claimed()
    lifecycle.release(job_id=job.id, attempt=1, code="X", message="x")
    slots.free(stale)
    lifecycle.cancel(job_id=job.id)
    other, _ = make_claimed(make_job(job.server))

    assert slots.beat(stale) is None
    assert slot_of(other).job_id == other.id


def test_when_a_picture_cannot_get_its_name_nothing_changes():
    job, _ = make_claimed()
    pictures = stage(job, 2)
    images.path_of(pictures[1].name).write_bytes(b"somebody else's")

    with pytest.raises(FileExistsError):
        complete(job, pictures)

    job.refresh_from_db()
    assert job.status == "processing"
    assert not images.path_of(pictures[0].name).exists()
    assert images.path_of(pictures[1].name).read_bytes() == b"somebody else's"


def test_of_cancel_and_complete_at_the_same_moment_exactly_one_wins():
    server = make_server()
    for _ in range(20):
        _race_cancel_against_complete(server)


def _race_cancel_against_complete(server):
    job, lease = make_claimed(make_job(server))
    pictures = stage(job)
    results = _at_once(lambda: _cancelled(job), lambda: complete(job, pictures))
    slots.free(lease)

    job.refresh_from_db()
    assert sorted(results) == [False, True]
    assert (job.status == "completed") == images.path_of(pictures[0].name).exists()


def _cancelled(job):
    try:
        lifecycle.cancel(job_id=job.id)
    except JobOperationInvalid:
        return False
    return True


def _at_once(*actions):
    results = []

    def act(action):
        try:
            results.append(action())
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "sleeping"},
        {"status": "completed"},
        {"status": "processing"},
        {"retry_count": 1},
        {"finished_at": "2026-01-01T00:00:00Z"},
    ],
)
def test_the_database_refuses_a_job_that_cannot_be(broken):
    make_job()

    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.update(**broken)


@pytest.mark.parametrize(
    "broken", [{"state": "sent"}, {"state": "draining"}, {"state": "admitted", "task_id": "x"}]
)
def test_the_database_refuses_a_slot_that_cannot_be(broken):
    make_server()

    with pytest.raises(IntegrityError), transaction.atomic():
        Slot.objects.update(**broken)


def test_one_job_holds_one_slot():
    job, _ = make_claimed()
    other = make_server("Other")

    with pytest.raises(IntegrityError), transaction.atomic():
        Slot.objects.filter(server=other).update(state="admitted", job=job, task_id="x", attempt=1)


def test_a_worker_whose_claim_a_crash_undid_cannot_touch_the_next_one():
    """The claim waits for no disk, so a crash of Postgres may undo it while its worker goes on."""
    job = make_job()
    attempt = admit(job) or 0
    before: dict[Any, Any] = {model: model.objects.values().get() for model in (Job, Slot)}
    _, lost = lifecycle.claim(job_id=job.id, attempt=attempt, worker="w1") or pytest.fail("lost")
    for model, values in before.items():
        model.objects.update(**values)
    _, held = lifecycle.claim(job_id=job.id, attempt=attempt, worker="w1") or pytest.fail("lost")

    assert not slots.mark_sent(lost)
    assert not slots.free(lost)

    assert slots.mark_sent(held)
