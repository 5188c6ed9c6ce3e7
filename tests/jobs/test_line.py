"""The order in which jobs wait, as clients and people set it."""

from uuid import uuid4

import pytest
from django.test import Client

from apikeys import registry
from events.models import Event
from jobs import forecast, lifecycle, line, scheduling
from jobs.drafts import Draft, Place
from jobs.models import Job
from servers.models import Server
from tests.callers import key_headers, send_json
from tests.factories import admit, make_claimed, make_job, make_server
from tests.jobs.lines import order_of, start_next

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = "/api/v1/queue"


@pytest.fixture
def server():
    return make_server()


@pytest.fixture
def call():
    headers = key_headers(registry.create(name="Forge extension"))

    def ask(method, path, body=None):
        return send_json(Client(), method, path, body or {}, **headers)

    return ask


def jobs(server, *words):
    return [make_job(server, positive_prompt=word) for word in words]


def place(job, **where):
    Job.objects.filter(id=job.id).update(**where)


def words(started):
    return "".join(job.parameters["positive_prompt"] for job in started)


# --- priority and class --------------------------------------------------------------


def test_the_highest_priority_goes_first_and_equals_in_the_order_they_came(server, call):
    for word, priority in zip("abcd", (5, 1, 10, 5), strict=True):
        body = {
            "target_server_alias": server.alias,
            "generation_params": {"positive_prompt": word},
            "priority": priority,
        }
        assert call("POST", "/api/v1/generate", body).status_code == 202

    assert words(order_of(server)) == "cadb"


def test_background_jobs_go_last_whatever_their_priority(server, call):
    body = {
        "target_server_alias": server.alias,
        "generation_params": {"positive_prompt": "a"},
        "priority": 10,
        "job_class": "background",
    }
    told = call("POST", "/api/v1/generate", body).json()
    make_job(server, positive_prompt="b")

    shown = call("GET", f"{QUEUE}/jobs/{told['job_id']}/status").json()

    assert (shown["priority"], shown["job_class"]) == (10, "background")
    assert words(order_of(server)) == "ba"


def test_a_batch_has_one_priority_for_all_its_jobs(server, call):
    make_job(server, positive_prompt="a")
    body = {
        "target_server_alias": server.alias,
        "generation_params": {},
        "prompts": ["b", "c"],
        "priority": 6,
    }

    assert call("POST", "/api/v1/generate/bulk", body).status_code == 202

    assert words(order_of(server)) == "bca"


@pytest.mark.parametrize("priority", [0, 11, "5", 2.5, None, True])
def test_a_priority_is_a_whole_number_from_1_to_10(server, call, priority):
    body = {
        "target_server_alias": server.alias,
        "generation_params": {"positive_prompt": "a"},
        "priority": priority,
    }

    answer = call("POST", "/api/v1/generate", body)

    assert answer.status_code == 400
    assert list(answer.json()["details"]["fields"]) == ["priority"]


def test_the_priority_of_a_waiting_job_can_be_changed(server, call):
    _, second = jobs(server, "a", "b")

    answer = call("PATCH", f"{QUEUE}/jobs/{second.id}", {"priority": 9})

    assert answer.status_code == 200
    assert answer.json()["job"]["priority"] == 9
    assert Event.objects.filter(kind="job.prioritised").get().data["priority"] == 9
    assert words(order_of(server)) == "ba"


def test_a_change_that_changes_nothing_is_refused_and_one_of_a_running_job_too(server, call):
    job, _ = make_claimed(make_job(server))

    empty = call("PATCH", f"{QUEUE}/jobs/{job.id}", {})
    late = call("PATCH", f"{QUEUE}/jobs/{job.id}", {"priority": 9})

    assert empty.status_code == 400
    assert late.json()["details"]["code"] == "JOB_OPERATION_INVALID"
    assert "given another priority" in late.json()["message"]


# --- moving --------------------------------------------------------------------------


def test_a_job_moved_to_the_front_goes_before_higher_priorities_and_the_last_moved_first(
    server, call
):
    a, b, c = jobs(server, *"abc")
    place(a, priority=10)

    for job in (b, c):
        assert call("POST", f"{QUEUE}/jobs/{job.id}/move", {"to": "front"}).status_code == 200

    assert words(order_of(server)) == "cba"


def test_a_job_moved_to_the_back_goes_after_all_that_wait(server, call):
    a, b, _ = jobs(server, *"abc")

    call("POST", f"{QUEUE}/jobs/{b.id}/move", {"to": "back"})
    call("POST", f"{QUEUE}/jobs/{a.id}/move", {"to": "back"})

    assert words(order_of(server)) == "cba"


@pytest.mark.parametrize(
    ("side", "beside", "expected"),
    [("before", 0, "dabc"), ("before", 2, "abdc"), ("after", 0, "adbc"), ("after", 2, "abcd")],
)
def test_a_job_can_be_put_next_to_another(server, call, side, beside, expected):
    waiting = jobs(server, *"abcd")

    body = {side: str(waiting[beside].id)}
    answer = call("POST", f"{QUEUE}/jobs/{waiting[3].id}/move", body)

    assert answer.status_code == 200
    assert words(order_of(server)) == expected


def test_a_job_put_next_to_another_takes_over_its_priority_and_class(server):
    a, b, c = jobs(server, *"abc")
    place(a, priority=8)
    place(b, priority=8)

    line.beside(job_id=c.id, other_id=a.id, before=False)

    assert words(order_of(server)) == "acb"


def test_jobs_of_one_moment_make_room_for_another_between_them(server):
    drafts = [Draft("txt2img", {"positive_prompt": word}, 1) for word in "abcd"]
    _, ids = lifecycle.submit_many(server=server, drafts=drafts)
    late = make_job(server, positive_prompt="x")

    line.beside(job_id=late.id, other_id=ids[1], before=False)
    line.beside(job_id=ids[3], other_id=ids[0], before=True)

    assert words(order_of(server)) == "dabxc"


def test_there_is_always_room_between_two_jobs(server):
    first, *_ = jobs(server, "a", "b")
    moved = []
    for number in range(70):
        job = make_job(server, positive_prompt=chr(0x4E00 + number))
        line.beside(job_id=job.id, other_id=first.id, before=False)
        moved.append(job)

    expected = ["a", *[chr(0x4E00 + number) for number in reversed(range(70))], "b"]
    assert words(order_of(server)) == "".join(expected)


def test_a_job_can_stay_where_it_is(server, call):
    a, _ = jobs(server, *"ab")

    assert call("POST", f"{QUEUE}/jobs/{a.id}/move", {"before": str(a.id)}).status_code == 200

    assert words(order_of(server)) == "ab"


def test_jobs_of_two_servers_have_no_order(server, call):
    here, there = make_job(server), make_job(make_server("Other"))

    answer = call("POST", f"{QUEUE}/jobs/{here.id}/move", {"after": str(there.id)})

    assert answer.status_code == 400
    assert answer.json()["details"]["code"] == "JOBS_APART"


@pytest.mark.parametrize(
    "body", [{}, {"to": "middle"}, {"to": "front", "after": str(uuid4())}, {"before": "x"}]
)
def test_a_move_names_one_place(server, call, body):
    job = make_job(server)

    assert call("POST", f"{QUEUE}/jobs/{job.id}/move", body).status_code == 400


def test_only_what_is_there_and_waits_can_be_moved(server, call):
    running, _ = make_claimed(make_job(server))
    waiting = make_job(server)

    gone = call("POST", f"{QUEUE}/jobs/{waiting.id}/move", {"after": str(uuid4())})
    late = call("POST", f"{QUEUE}/jobs/{running.id}/move", {"to": "back"})

    assert gone.json()["details"]["code"] == "JOB_NOT_FOUND"
    assert late.json()["details"]["code"] == "JOB_OPERATION_INVALID"


# --- places --------------------------------------------------------------------------


def test_the_place_that_is_told_is_the_place_in_which_jobs_are_started(server):
    keys = [registry.create(name=name).api_key for name in "AB"]
    for number in range(12):
        job = lifecycle.submit(
            server=server,
            kind="txt2img",
            parameters={"positive_prompt": "x"},
            seed=number,
            key=keys[number % 3 == 2],
            place=Place(priority=5 + (number in (4, 7)), is_background=number == 1),
        )
        if number in (9, 10):
            line.to_front(job_id=job.id)

    waiting = list(Job.objects.pending())
    told = {job.id: forecast.queue_position(job) for job in waiting}

    started = order_of(server)
    assert [told[job.id] for job in started] == list(range(1, 13))


# --- pause and run now ---------------------------------------------------------------


def test_a_paused_queue_starts_nothing_and_says_why_on_each_job(server, call):
    job = make_job(server)

    told = call("POST", f"{QUEUE}/pause", {"reason": "Fans are loud"}).json()

    assert (told["is_paused"], told["reason"], told["pending"]) == (True, "Fans are loud", 1)
    assert start_next(server) is None
    shown = call("GET", f"{QUEUE}/jobs/{job.id}/status").json()
    assert shown["phase"] == "paused"
    assert "Fans are loud" in shown["reason"]
    assert call("POST", f"{QUEUE}/resume").json()["is_paused"] is False
    assert start_next(server) == job


def test_a_pause_or_resume_that_changes_nothing_is_no_event(call):
    for verb in ("resume", "pause", "pause", "resume", "resume"):
        assert call("POST", f"{QUEUE}/{verb}").status_code == 200

    kinds = Event.objects.filter(subject_type="queue").order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["queue.paused", "queue.resumed"]
    assert call("GET", QUEUE).json()["is_paused"] is False


def test_what_was_admitted_before_a_pause_is_not_claimed_after_it(server, call):
    job = make_job(server)
    assert admit(job) == 1

    call("POST", f"{QUEUE}/pause")

    assert lifecycle.claim(job_id=job.id, attempt=1, worker="w") is None
    assert scheduling.promised_in_vain() == [(job.id, 1)]


@pytest.mark.parametrize("what", ["queue", "servers/Laptop"])
def test_a_job_can_be_run_now_though_all_or_its_server_is_paused(server, call, what):
    _, wanted = jobs(server, "a", "b")
    assert call("POST", f"/api/v1/{what}/pause").status_code == 200

    answer = call("POST", f"{QUEUE}/jobs/{wanted.id}/run-now")

    assert answer.json()["job"]["phase"] == "queued"
    assert admit(wanted) == 1
    assert scheduling.promised_in_vain() == []
    assert lifecycle.claim(job_id=wanted.id, attempt=1, worker="w") is not None


def test_only_the_wanted_job_is_run_while_all_is_paused(server, call):
    _, wanted = jobs(server, "a", "b")
    call("POST", f"{QUEUE}/pause")
    call("POST", f"{QUEUE}/jobs/{wanted.id}/run-now")

    assert words(order_of(server)) == "b"


def test_a_job_to_be_run_now_goes_before_the_front(server):
    _, b, c = jobs(server, *"abc")
    line.run_now(job_id=c.id)
    line.to_front(job_id=b.id)

    assert words(order_of(server)) == "cba"


# --- quiet hours ---------------------------------------------------------------------


def test_a_resting_server_starts_only_what_is_wanted_now_and_says_until_when(server, call):
    a, b = jobs(server, *"ab")
    assert admit(a) == 1
    Server.objects.update(quiet_until="2100-01-01T07:00:00Z")

    assert lifecycle.claim(job_id=a.id, attempt=1, worker="w") is None
    assert scheduling.promised_in_vain() == [(a.id, 1)]
    lifecycle.withdraw(job_id=a.id, attempt=1)
    shown = call("GET", f"{QUEUE}/jobs/{a.id}/status").json()
    assert shown["reason"] == "Laptop has its quiet hours until 07:00 (UTC)."
    line.run_now(job_id=b.id)
    assert words(order_of(server)) == "b"
