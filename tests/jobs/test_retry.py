"""Jobs that run again: by a person's word, and after Forge did not survive them."""

from uuid import UUID

import pytest

from events.models import Event
from jobs import backoff, lifecycle, scheduling, slots
from jobs.drafts import Draft
from jobs.errors import BatchNotFound, JobNotFound, JobOperationInvalid
from jobs.models import Job, Slot
from servers.models import Server
from tests.callers import our_page, send_json
from tests.factories import admit, make_claimed, make_job, make_server

pytestmark = pytest.mark.django_db(transaction=True)

OWN_ORIGIN = "http://testserver"
GONE = UUID("00000000-0000-4000-8000-000000000000")


@pytest.fixture(autouse=True)
def _outputs(settings, tmp_path):
    settings.OUTPUTS_DIR = tmp_path


def failed(job=None, code="FORGE_FAILED"):
    job, lease = make_claimed(job)
    lifecycle.fail(job_id=job.id, attempt=job.attempt, code=code, message="It failed.")
    slots.free(lease)
    job.refresh_from_db()
    return job


def lost(job):
    """One try in whose middle Forge was gone."""
    Job.objects.filter(id=job.id).update(not_before=None)
    job, lease = make_claimed(job)
    lifecycle.retry_later(
        job_id=job.id, attempt=job.attempt, code="FORGE_CONNECTION_LOST", message="Cut off."
    )
    slots.free(lease)
    job.refresh_from_db()
    return job


def charged_to_the_end(job):
    for _ in range(backoff.MAX_RETRIES + 1):
        Job.objects.filter(id=job.id).update(not_before=None)
        job, lease = make_claimed(job)
        lifecycle.retry_later(job_id=job.id, attempt=job.attempt, code="FORGE_FAILED", message="x")
        slots.free(lease)
    job.refresh_from_db()
    return job


def ask(path, body=None):
    return send_json(our_page(), "POST", f"/api/v1/queue/{path}", body or {}, Origin=OWN_ORIGIN)


def test_a_failed_job_waits_again_with_all_its_tries_and_its_history():
    job = charged_to_the_end(make_job())
    assert (job.status, job.retry_count, job.attempt) == ("failed", 3, 4)

    lifecycle.retry(job_id=job.id)

    job.refresh_from_db()
    assert (job.status, job.retry_count, job.attempt) == ("pending", 0, 4)
    assert (job.result, job.finished_at) == (None, None)
    assert [error["attempt"] for error in job.errors] == [1, 2, 3, 4]
    assert admit(job) == 5


def test_a_retried_job_may_be_charged_as_often_as_a_new_one():
    job = charged_to_the_end(make_job())
    lifecycle.retry(job_id=job.id)

    job = charged_to_the_end(job)

    assert (job.status, job.attempt, len(job.errors)) == ("failed", 8, 8)


def test_a_cancelled_job_runs_again_as_another_attempt_than_the_one_that_drains():
    job, lease = make_claimed()
    slots.mark_sent(lease)
    lifecycle.cancel(job_id=job.id)

    lifecycle.retry(job_id=job.id)

    assert admit(job) is None
    assert not lifecycle.complete(job=job, attempt=1, pictures=[], result={})
    slots.free(lease)
    assert admit(job) == 2


@pytest.mark.parametrize("word", ["pending", "completed"])
def test_what_waits_or_is_complete_is_not_retried(word):
    job = make_job()
    if word == "completed":
        job, _ = make_claimed(job)
        lifecycle.complete(job=job, attempt=1, pictures=[], result={})

    with pytest.raises(JobOperationInvalid, match=f"A job that is {word} cannot be retried."):
        lifecycle.retry(job_id=job.id)


def test_a_job_that_is_not_there_is_not_retried():
    with pytest.raises(JobNotFound):
        lifecycle.retry(job_id=GONE)


def test_a_retry_over_the_api_answers_with_the_job():
    job = failed()

    answer = ask(f"jobs/{job.id}/retry")

    assert answer.status_code == 200
    assert answer.json()["job"]["status"] == "pending"
    assert answer.json()["job"]["errors"][0]["code"] == "FORGE_FAILED"
    refused = ask(f"jobs/{job.id}/retry")
    assert (refused.status_code, refused.json()["error"]) == (400, "job_operation_invalid")


def test_all_failed_jobs_run_again_and_no_others():
    server = make_server()
    failures = [failed(make_job(server)) for _ in range(3)]
    cancelled = lifecycle.cancel(job_id=make_job(server).id)

    answer = ask("retry-failed").json()

    assert (answer["retried"], answer["left"]) == (3, 0)
    assert {job.id for job in Job.objects.pending()} == {job.id for job in failures}
    assert Job.objects.get(id=cancelled.id).status == "cancelled"
    assert Event.objects.filter(kind="job.retried").count() == 3


def test_failed_jobs_of_one_server_one_error_or_one_batch_run_again():
    here, there = make_server("Here"), make_server("There")
    batch, (batched,) = lifecycle.submit_many(
        server=there, drafts=[Draft("txt2img", {"positive_prompt": "x"}, 1)]
    )
    failed(make_job(here), "POISON")
    failed(make_job(there), "FORGE_FAILED")
    failed(Job.objects.get(id=batched), "POISON")

    assert ask("retry-failed", {"server": "here", "error_code": "FORGE_FAILED"}).json() == {
        "success": True,
        "message": "0 jobs are tried again.",
        "retried": 0,
        "left": 0,
    }
    assert ask("retry-failed", {"batch": str(batch.id)}).json()["retried"] == 1
    assert ask("retry-failed", {"error_code": "POISON"}).json()["retried"] == 1
    assert ask("retry-failed", {"server": "THERE"}).json()["retried"] == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [({"server": "Nowhere"}, "server_not_found"), ({"batch": str(GONE)}, "batch_not_found")],
)
def test_a_server_or_batch_that_is_not_there_is_named(body, code):
    assert ask("retry-failed", body).json()["error"] == code


def test_one_call_retries_a_bounded_number(monkeypatch):
    monkeypatch.setattr(lifecycle, "MOST_RETRIED", 2)
    server = make_server()
    for _ in range(3):
        failed(make_job(server))

    assert lifecycle.retry_failed() == (2, 1)
    assert lifecycle.retry_failed() == (1, 0)


def test_a_batch_that_is_not_there_is_refused_by_the_verb_too():
    with pytest.raises(BatchNotFound):
        lifecycle.retry_failed(batch_id=GONE)


def test_a_job_that_its_forge_did_not_survive_twice_fails_as_poison():
    job = lost(make_job())
    assert job.status == "pending"

    job = lost(job)

    assert (job.status, job.result["error"]) == ("failed", "POISON")
    assert "Laptop went down in the middle of this job 2 times" in job.result["message"]
    assert [error["code"] for error in job.errors] == ["FORGE_CONNECTION_LOST", "POISON"]


def test_after_a_retry_by_a_person_a_poison_job_is_judged_anew():
    job = lost(lost(make_job()))
    lifecycle.retry(job_id=job.id)

    assert lost(job).status == "pending"


def test_after_a_job_that_its_forge_did_not_survive_another_one_goes_first():
    server = make_server()
    suspect, other = make_job(server), make_job(server)
    lost(suspect)
    Job.objects.update(not_before=None)

    first = [choice.job_id for choice in scheduling.next_turn().choices]
    _, lease = make_claimed(other)
    slots.free(lease)

    assert first == [other.id]
    assert [choice.job_id for choice in scheduling.next_turn().choices] == [suspect.id]


def test_alone_it_goes_next():
    job = lost(make_job())
    Job.objects.update(not_before=None)

    assert [choice.job_id for choice in scheduling.next_turn().choices] == [job.id]


@pytest.mark.parametrize("stop", [{"is_paused": True}, {"held_until": "2026-01-01T00:00:00Z"}])
def test_a_stopped_server_has_no_turn(stop):
    make_job()
    Server.objects.update(**stop)

    assert scheduling.next_turn().choices == []


@pytest.mark.parametrize("stop", [{"is_paused": True}, {"held_until": "2026-01-01T00:00:00Z"}])
def test_a_stopped_server_starts_no_job_that_was_promised_its_slot(stop):
    job = make_job()
    attempt = admit(job)
    assert attempt is not None
    Server.objects.update(**stop)

    assert scheduling.next_turn().choices == []
    assert lifecycle.claim(job_id=job.id, attempt=attempt, worker="w") is None
    assert scheduling.promised_in_vain() == [(job.id, attempt)]

    assert lifecycle.withdraw(job_id=job.id, attempt=attempt)
    job.refresh_from_db()
    assert (job.status, job.retry_count) == ("pending", 0)
    assert Slot.objects.get().state == "free"


def test_what_a_worker_has_claimed_is_not_taken_back():
    job, _ = make_claimed()
    Server.objects.update(is_paused=True)

    assert scheduling.promised_in_vain() == []
    assert not lifecycle.withdraw(job_id=job.id, attempt=job.attempt)
