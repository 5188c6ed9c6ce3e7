"""Many jobs by one request: submitted, read, listed and cancelled as a whole."""

from __future__ import annotations

import base64
import io
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image as Picture

from apikeys import registry
from apikeys.models import ApiKey
from events.models import Event
from jobs import lifecycle, scheduling, slots
from jobs.drafts import Draft
from jobs.errors import BatchNotFound, JobOperationInvalid
from jobs.models import Batch, Input, Job, Slot
from tests.callers import key_headers, send_json
from tests.factories import admit, make_claimed, make_job, make_server

pytestmark = pytest.mark.django_db(transaction=True)

BULK = "/api/v1/generate/bulk"
CAT = {"positive_prompt": "a cat", "steps": 20}


@pytest.fixture(autouse=True)
def _inputs(settings, tmp_path):
    settings.INPUTS_DIR = tmp_path


@pytest.fixture
def server():
    return make_server()


@pytest.fixture
def call(server):
    """Ask as an application does, with a key."""
    headers = key_headers(registry.create(name="Forge extension"))

    def ask(method, path, body=None):
        if body is None:
            return Client().generic(method, path, headers=headers)
        return send_json(Client(), method, path, body, **headers)

    return ask


@pytest.fixture
def submit(call):
    """Submit a batch of cats; returns the answer."""

    def ask(**more):
        body = {"target_server_alias": "Laptop", "generation_params": CAT, **more}
        return call("POST", BULK, body)

    return ask


def make_batch(server, count=3):
    drafts = [Draft("txt2img", {**CAT, "seed": seed}, seed) for seed in range(count)]
    batch, _ = lifecycle.submit_many(server=server, drafts=drafts)
    return batch, list(batch.jobs.order_by("seed"))


def picture(colour):
    file = io.BytesIO()
    Picture.new("RGB", (8, 8), colour).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def kinds():
    return list(Event.objects.order_by("id").values_list("kind", flat=True))


# --- submitting ----------------------------------------------------------------------


def test_a_batch_is_answered_with_every_job_and_its_seed(submit):
    answer = submit(bulk_quantity=3, name="three cats")

    told = answer.json()
    batch = Batch.objects.get()
    jobs = list(Job.objects.order_by("created_at", "id"))
    assert answer.status_code == 202
    assert (told["success"], told["batch_id"], told["total_jobs"]) == (True, str(batch.id), 3)
    assert [job["stablequeue_job_id"] for job in told["jobs"]] == [str(job.id) for job in jobs]
    assert [job["seed"] for job in told["jobs"]] == [job.seed for job in jobs]
    assert {job.batch_id for job in jobs} == {batch.id}
    assert (batch.name, batch.total, batch.submitted_by) == ("three cats", 3, ApiKey.objects.get())


def test_each_job_has_its_event_and_the_batch_one_line_in_the_log(submit, caplog):
    submit(bulk_quantity=3)

    events = Event.objects.filter(kind="job.submitted")
    assert {event.subject_id for event in events} == {str(job.id) for job in Job.objects.all()}
    assert {event.data["batch"] for event in events} == {str(Batch.objects.get().id)}
    lines = [line for line in caplog.messages if "submitted" in line]
    assert lines == [
        f"batch {str(Batch.objects.get().id)[:8]} batch.submitted jobs=3 server=Laptop"
    ]


def test_the_jobs_of_a_batch_run_in_its_order(submit, server):
    told = submit(prompts=["a", "b", "c", "d", "e"]).json()["jobs"]

    turns = []
    while choices := scheduling.next_turn().choices:
        turns.append(str(choices[0].job_id))
        lifecycle.cancel(job_id=choices[0].job_id)

    assert turns == [job["job_id"] for job in told]


def test_axes_prompts_and_copies_multiply(submit):
    answer = submit(
        prompts=["a cat", "a dog"],
        axes=[{"parameters": {"steps": [10, 20], "cfg_scale": [5, 7.5]}}],
        bulk_quantity=2,
    )

    assert answer.json()["total_jobs"] == 16
    first = Job.objects.order_by("created_at", "id")[0].parameters
    assert (first["positive_prompt"], first["steps"], first["cfg_scale"]) == ("a cat", 10, 5)


def test_the_prompt_may_come_from_the_list_alone(submit):
    answer = submit(generation_params={"steps": 5}, prompts=["a cat"])

    assert answer.status_code == 202
    assert Job.objects.get().parameters["positive_prompt"] == "a cat"


def test_a_picture_is_kept_once_and_belongs_to_the_jobs_that_show_it(submit):
    red, blue = picture("red"), picture("blue")

    submit(
        generation_params={**CAT, "init_images": [red]},
        axes=[{"parameters": {"mask": [red, blue]}}],
    )

    assert Input.objects.count() == 2
    assert [job.inputs.count() for job in Job.objects.order_by("created_at", "id")] == [1, 2]
    assert set(Job.objects.values_list("kind", flat=True)) == {"img2img"}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"bulk_quantity": 0}, "bulk_quantity"),
        ({"bulk_quantity": 1001}, "bulk_quantity"),
        ({"bulk_quantity": "3"}, "bulk_quantity"),
        ({"seed_variation": "wild"}, "seed_variation"),
        ({"prompts": [""]}, "prompts.0"),
        ({"prompts": "a cat"}, "prompts"),
        ({"prompts": ["x"] * 501, "bulk_quantity": 2}, "bulk_quantity"),
        ({"axes": {"steps": [1]}}, "axes"),
        ({"axes": [{"parameters": {}}]}, "axes.0.parameters"),
        ({"axes": [{"parameters": {"steps": []}}]}, "axes.0.parameters.steps"),
        ({"axes": [{"parameters": {"steps": [10, 0]}}]}, "axes.0.parameters.steps.1"),
        ({"axes": [{"parameters": {"stepz": [10]}}]}, "axes.0.parameters.stepz"),
        ({"axes": [{"mode": "spiral", "parameters": {"steps": [1]}}]}, "axes.0.mode"),
        (
            {"axes": [{"mode": "zip", "parameters": {"width": [64], "height": [64, 128]}}]},
            "axes.0.parameters",
        ),
        ({"axes": [{"parameters": {"steps": [1]}}, {"parameters": {"steps": [2]}}]}, "axes"),
        ({"axes": [{"parameters": {"positive_prompt": ["a"]}}], "prompts": ["b"]}, "axes"),
        ({"axes": [{"parameters": {"seed": [1]}}], "seed_variation": "random"}, "axes"),
        (
            {"axes": [{"parameters": {"steps": [*range(1, 41)], "clip_skip": [*range(13)] * 2}}]},
            "axes",
        ),
        ({"axes": [{"parameters": {"positive_prompt": ["a", " "]}}]}, PROMPT := "positive_prompt"),
        ({"generation_params": {"steps": 20}}, PROMPT),
        ({"generation_params": {**CAT, "batch_size": 50, "n_iter": 50}}, "n_iter"),
        ({"generation_params": {**CAT, "steps": "many"}}, "steps"),
        ({"axes": [{"parameters": {"mask": ["bm8gcGljdHVyZQ=="]}}]}, "axes.0.parameters.mask.0"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(submit, more, field):
    answer = submit(**more)

    own = field if "." in field or field in more else f"generation_params.{field}"
    assert answer.status_code == 400, answer.content
    assert list(answer.json()["details"]["fields"]) == [own]
    assert (Job.objects.count(), Batch.objects.count(), Event.objects.count()) == (0, 0, 2)


def test_a_small_request_does_not_become_a_flood(submit):
    answer = submit(
        generation_params={**CAT, "notes": "x" * 60_000, "more": "x" * 60_000}, bulk_quantity=1000
    )

    assert answer.status_code == 400
    assert "1000 jobs" in answer.json()["details"]["fields"]["generation_params"][0]
    assert Job.objects.count() == 0


def test_an_unknown_server_is_told_before_anything_is_stored(submit):
    answer = submit(target_server_alias="Attic", bulk_quantity=2)

    assert answer.status_code == 404
    assert Batch.objects.count() == 0


def test_a_full_batch_takes_as_few_statements_as_a_small_one(server):
    with CaptureQueriesContext(connection) as small:
        make_batch(server, 2)
    with CaptureQueriesContext(connection) as full:
        make_batch(server, 1000)

    assert len(full) == len(small)
    assert Job.objects.count() == 1002


# --- reading -------------------------------------------------------------------------


def test_a_batch_tells_how_far_it_is(call, server):
    batch, jobs = make_batch(server, 4)
    _, lease = make_claimed(jobs[0])
    slots.beat(lease, phase="generating", progress=0.5)
    lifecycle.cancel(job_id=jobs[1].id)
    lifecycle.delete(job_id=jobs[2].id)

    told = call("GET", f"/api/v1/batches/{batch.id}").json()

    counts = {"pending": 1, "processing": 1, "completed": 0, "failed": 0, "cancelled": 1}
    assert told["counts"] == {**counts, "deleted": 1}
    assert (told["total_jobs"], told["progress_percentage"]) == (4, 62.5)
    assert told["is_finished"] is False
    assert told["creation_timestamp"].endswith("Z")


def test_a_job_that_is_only_being_saved_counts_as_drawn(call, server):
    batch, jobs = make_batch(server, 2)
    _, lease = make_claimed(jobs[0])
    slots.free(lease)

    told = call("GET", f"/api/v1/batches/{batch.id}").json()

    assert told["progress_percentage"] == 50.0


def test_its_jobs_are_listed_by_its_link_in_order(call, server):
    make_job(server)
    batch, jobs = make_batch(server)

    link = call("GET", f"/api/v1/batches/{batch.id}").json()["jobs_url"]
    told = call("GET", link).json()

    assert told["total"] == 3
    assert [job["stablequeue_job_id"] for job in told["jobs"]] == [str(job.id) for job in jobs]
    assert {job["batch_id"] for job in told["jobs"]} == {str(batch.id)}


def test_the_list_of_a_batch_can_be_narrowed_to_a_status(call, server):
    batch, jobs = make_batch(server)
    lifecycle.cancel(job_id=jobs[1].id)

    told = call("GET", f"/api/v1/queue/jobs?batch={batch.id}&status=cancelled").json()

    assert [job["stablequeue_job_id"] for job in told["jobs"]] == [str(jobs[1].id)]


def test_batches_are_listed_newest_first_and_paged(call, server):
    made = [make_batch(server, count)[0] for count in (1, 2, 3)]

    told = call("GET", "/api/v1/batches?limit=2").json()

    assert told["total"] == 3
    assert [batch["batch_id"] for batch in told["batches"]] == [
        *(str(made[2].id), str(made[1].id)),
    ]
    assert [batch["counts"]["pending"] for batch in told["batches"]] == [3, 2]


def test_a_list_of_batches_costs_three_queries_however_long(call, server):
    for _ in range(5):
        make_batch(server, 1)

    with CaptureQueriesContext(connection) as asked:
        call("GET", "/api/v1/batches")

    assert len([query for query in asked if "jobs_" in query["sql"]]) == 3


@pytest.mark.parametrize("batch_id", [str(uuid.uuid4()), "' OR 1=1", "7"])
def test_an_unknown_batch_is_not_found(call, batch_id):
    for method, end in (("GET", ""), ("POST", "/cancel")):
        answer = call(method, f"/api/v1/batches/{batch_id}{end}")
        assert answer.status_code == 404
        assert answer.json()["details"]["code"] == "BATCH_NOT_FOUND"


def test_a_filter_that_is_no_batch_id_is_refused(call):
    assert call("GET", "/api/v1/queue/jobs?batch=7").status_code == 400


def test_its_jobs_outlive_a_batch(server):
    batch, _ = make_batch(server)

    batch.delete()

    assert list(Job.objects.values_list("batch", flat=True)) == [None] * 3


# --- cancelling ----------------------------------------------------------------------


def test_cancelling_a_batch_ends_what_has_not_ended_and_tells_how_many(call, server):
    batch, jobs = make_batch(server, 4)
    lifecycle.cancel(job_id=jobs[3].id)
    another = make_job(server)

    told = call("POST", f"/api/v1/batches/{batch.id}/cancel").json()

    assert (told["success"], told["cancelled"]) == (True, 3)
    assert told["batch"]["is_finished"] is True
    assert set(batch.jobs.values_list("status", flat=True)) == {"cancelled"}
    assert Job.objects.get(id=another.id).status == "pending"
    assert kinds().count("job.cancelled") == 4


def test_cancelling_again_finds_nothing_to_do(call, server):
    batch, _ = make_batch(server)
    lifecycle.cancel_batch(batch_id=batch.id)

    assert call("POST", f"/api/v1/batches/{batch.id}/cancel").json()["cancelled"] == 0


def test_a_slot_that_was_only_promised_is_free_at_once(server):
    batch, jobs = make_batch(server)
    admit(jobs[0])

    lifecycle.cancel_batch(batch_id=batch.id)

    assert Slot.objects.get().state == "free"


def test_a_slot_that_a_worker_has_drains(server):
    batch, jobs = make_batch(server)
    make_claimed(jobs[0])

    lifecycle.cancel_batch(batch_id=batch.id)

    assert (Slot.objects.get().state, Slot.objects.get().job) == ("draining", None)


def test_a_batch_that_is_not_there_cannot_be_cancelled():
    with pytest.raises(BatchNotFound):
        lifecycle.cancel_batch(batch_id=uuid.uuid4())


def test_whoever_cancels_at_once_each_job_is_cancelled_once_and_nobody_waits_in_a_ring(server):
    batch, jobs = make_batch(server, 40)
    gate = threading.Barrier(6)

    def cancel_all():
        gate.wait(10)
        return lifecycle.cancel_batch(batch_id=batch.id)

    def cancel_backwards():
        gate.wait(10)
        return sum(_cancelled(job) for job in reversed(jobs))

    with ThreadPoolExecutor(6) as pool:
        verbs = [cancel_all, cancel_backwards] * 3
        counts = list(pool.map(_in_a_thread, verbs))

    assert sum(counts) == 40
    assert kinds().count("job.cancelled") == 40


def _cancelled(job):
    try:
        lifecycle.cancel(job_id=job.id)
    except JobOperationInvalid:
        return 0
    return 1


def _in_a_thread(verb):
    try:
        return verb()
    finally:
        connection.close()
