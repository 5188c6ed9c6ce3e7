"""What the database tells of each server's line, and what is kept from one choice to the next."""

import contextlib
import random

import pytest
from django.db import connection

from apikeys import registry
from jobs import lifecycle, line, scheduling, slots
from jobs.drafts import Draft
from jobs.models import Job, Slot, Standing
from servers import fleet
from tests.factories import admit, make_claimed, make_job, make_server
from tests.jobs.lines import order_of, start_next

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server():
    return make_server()


@pytest.fixture
def keys():
    return [registry.create(name=name).api_key for name in "ABC"]


def job_of(server, key=None, checkpoint="", **parameters):
    parameters |= {"positive_prompt": "x"} | ({"checkpoint_name": checkpoint} if checkpoint else {})
    return lifecycle.submit(server=server, kind="txt2img", parameters=parameters, seed=1, key=key)


def checkpoints(started):
    return [job.checkpoint for job in started]


def test_a_checkpoint_is_the_same_however_it_is_written(server):
    for name in ("Pony/a.safetensors", "pony\\A.safetensors", "a", "A.safetensors [0123456789]"):
        job_of(server, checkpoint=name)

    assert set(Job.objects.values_list("checkpoint", flat=True)) == {"a"}


def test_the_jobs_of_a_batch_each_have_their_own_checkpoint(server):
    drafts = [
        Draft("txt2img", {"positive_prompt": "x", "checkpoint_name": name}, 1)
        for name in ("a", "b")
    ]

    lifecycle.submit_many(server=server, drafts=drafts)

    assert sorted(Job.objects.values_list("checkpoint", flat=True)) == ["a", "b"]


def test_jobs_for_the_loaded_checkpoint_go_first_and_any_will_do_for_those_without(server):
    for name in ("a", "b", "", "a", "b"):
        job_of(server, checkpoint=name)

    assert checkpoints(order_of(server)) == ["a", "", "a", "b", "b"]


def test_a_higher_priority_is_worth_a_load(server):
    for name in ("a", "a", "b"):
        job_of(server, checkpoint=name)
    start_next(server)
    line.prioritise(job_id=Job.objects.pending().get(checkpoint="b").id, priority=6)

    assert checkpoints(order_of(server)) == ["b", "a"]


def test_a_server_has_loaded_what_was_sent_to_it_last(server):
    job_of(server, checkpoint="a")
    job, lease = make_claimed(Job.objects.get())

    slots.mark_sent(lease, checkpoint=job.checkpoint)

    assert Slot.objects.get().loaded == "a"


def test_nobody_is_overtaken_by_more_than_the_bound_also_when_the_dispatcher_is_another(
    server, settings
):
    settings.OVERTAKE_JOBS = 3
    job_of(server, checkpoint="a")
    start_next(server)
    job_of(server, checkpoint="b")
    for _ in range(5):
        job_of(server, checkpoint="a")

    # Nothing is remembered outside of the database: each look is that of a new process.
    assert checkpoints(order_of(server)) == ["a", "a", "a", "b", "a", "a"]


def test_keys_take_turns_and_what_the_page_submits_is_one_of_them(server, keys):
    for key in (*[keys[0]] * 3, *[keys[1]] * 2, None):
        job_of(server, key)

    assert [job.submitted_by and job.submitted_by.name for job in order_of(server)] == [
        "A", "B", None, "A", "B", "A",
    ]  # fmt: skip


def test_a_key_that_is_deleted_keeps_its_turns(server, keys):
    for key in (keys[0], keys[0], keys[1]):
        job_of(server, key)
    registry.delete(keys[0].id)

    assert len(order_of(server)) == 3


def test_a_server_whose_key_is_alone_keeps_nothing(server, keys):
    for _ in range(3):
        job_of(server, keys[0], "a")

    order_of(server)

    assert not Standing.objects.exists()


def test_each_server_has_a_line_of_its_own(keys):
    servers = [make_server(alias) for alias in ("One", "Two", "Three")]
    fleet.pause_server(server_id=servers[2].pk)
    for server in servers:
        job_of(server, keys[0])

    choices = scheduling.next_turn().choices

    assert {choice.server_id for choice in choices} == {servers[0].pk, servers[1].pk}


def test_a_server_that_nothing_waits_for_is_idle(server):
    busy = make_server("Busy")
    make_job(busy)
    assert scheduling.next_turn().has_idle_slot

    make_job(server)

    assert not scheduling.next_turn().has_idle_slot


def test_a_choice_that_was_planned_once_is_made_anew_each_time(server, keys):
    scheduling.be_quick()
    with contextlib.closing(connection):
        assert scheduling.next_turn().choices == []
        for key in keys:
            job_of(server, key, "a")

        assert len(order_of(server)) == 3


def test_a_job_that_waits_for_its_next_try_lets_others_go(server):
    waiting, other = job_of(server), job_of(server)
    Job.objects.filter(id=waiting.id).update(not_before="2100-01-01T00:00:00Z", priority=9)

    assert [choice.job_id for choice in scheduling.next_turn().choices] == [other.id]


@pytest.mark.parametrize("seed", range(4))
def test_the_database_finds_the_heads_that_the_policy_asks_for(server, keys, seed, settings):
    """Against a slow search through everything."""
    settings.OVERTAKE_JOBS = 2
    draw = random.Random(seed)
    for _ in range(30):
        job = job_of(server, draw.choice([*keys, None]), draw.choice(["", "a", "b", "c"]))
        rank = {"priority": draw.choice([5, 5, 6]), "is_background": draw.random() < 0.2}
        Job.objects.filter(id=job.id).update(**rank)
    while waiting := list(Job.objects.pending()):
        top = min((job.is_background, -job.priority) for job in waiting)
        loaded = Slot.objects.get().loaded
        started = start_next(server)
        assert started is not None
        assert (started.is_background, -started.priority) == top
        older = [
            job
            for job in waiting
            if (job.is_background, -job.priority) == top
            and job.owner == started.owner
            and job.checkpoint == started.checkpoint
            and job.position < started.position
        ]
        assert older == [], loaded
    assert admit(started) is None
