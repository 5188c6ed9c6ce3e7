"""A worker that dies costs no second drawing where Forge keeps copies; R14 to R24 by name."""

import contextlib
import io

import pytest
from PIL import Image

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import eventually

SEED = 9


@contextlib.contextmanager
def drawing(stack, *, forge=None, keeps_copies=True, **parameters):
    """A Forge in the middle of a job of ours."""
    with ForgeSimulator(seconds=3, **(forge or {})) as running:
        alias = stack.add_server(running.port, keeps_copies=keeps_copies)
        job_id = stack.generate(alias, seed=SEED, **parameters)
        eventually(lambda: running.journal.generations, what="drawing")
        yield running, job_id


def assert_drawn(stack, job, forge, *, starts, charged):
    """The job has all its pictures, and Forge drew it `starts` times with its one seed."""
    assert job["status"] == "completed", job
    assert [entry.seed for entry in forge.journal.generations] == [SEED] * starts
    assert forge.journal.max_parallel == 1
    assert job["retry_count"] == charged
    assert len(job["errors"]) == charged
    names = job["result_details"]["images"]
    files = (stack.data / "outputs").glob(f"{job['stablequeue_job_id'][:8]}_*")
    assert sorted(path.name for path in files) == sorted(names)


def test_r17_a_worker_killed_in_the_middle_costs_one_start_where_forge_keeps_copies(stack):
    with (
        drawing(stack, num_images=2) as (keeping, job_id),
        drawing(stack, keeps_copies=False) as (without, second_id),
        drawing(stack, forge={"nowebui": True}) as (pageless, third_id),
    ):
        stack.kill("--servers")

        job, second, third = map(stack.wait_for, (job_id, second_id, third_id))

        assert_drawn(stack, job, keeping, starts=1, charged=0)
        assert_drawn(stack, second, without, starts=2, charged=1)
        assert_drawn(stack, third, pageless, starts=2, charged=1)
        told = job["result_details"]
        assert told["generation_info"]["all_seeds"] == [SEED, SEED + 1]
        assert "fetched" in told["warnings"][0]
        seen = [stack.picture(name) for name in told["images"]]
        assert seen == [
            keeping.engine.outputs.fetch(path) for path in keeping.engine.outputs.paths[-2:]
        ]
        assert {Image.open(io.BytesIO(picture)).format for picture in seen} == {"PNG"}


@pytest.mark.parametrize(
    ("failpoint", "charged"),
    [
        pytest.param("before_claim", 0, id="r14"),
        pytest.param("after_claim", 0, id="r15"),
        pytest.param("before_send", 1, id="r16"),
        pytest.param("after_response", 0, id="r18"),
        pytest.param("before_complete", 0, id="r19"),
        pytest.param("after_complete", 0, id="r20"),
    ],
)
def test_a_worker_killed_at_a_step_costs_one_start(stack, forge, failpoint, charged):
    alias = stack.add_server(forge.port)
    stack.fail_at(failpoint, "kill9")

    job = stack.wait_for(stack.generate(alias, seed=SEED))

    assert not stack.is_armed(failpoint)
    assert_drawn(stack, job, forge, starts=1, charged=charged)


def test_two_workers_killed_one_after_the_other_cost_one_start(stack, forge):
    alias = stack.add_server(forge.port)
    stack.fail_at("before_complete", "kill9")
    stack.fail_at("after_collect", "kill9")

    job = stack.wait_for(stack.generate(alias, seed=SEED), seconds=60)

    assert not stack.is_armed("after_collect")
    assert_drawn(stack, job, forge, starts=1, charged=0)


def test_r22_a_worker_frozen_in_the_middle_adds_nothing_when_it_goes_on(stack):
    with drawing(stack) as (forge, job_id):
        with stack.frozen_worker():
            job = stack.wait_for(job_id)

        assert_drawn(stack, job, forge, starts=1, charged=0)
        # Whoever thaws takes up the next job too.
        stack.wait_for(stack.generate(job["target_server_alias"], seed=SEED + 1), "completed")
        assert_drawn_once_only(stack, forge, job)


def assert_drawn_once_only(stack, forge, job):
    assert stack.job(job["stablequeue_job_id"])["result_details"] == job["result_details"]
    assert [entry.seed for entry in forge.journal.generations] == [SEED, SEED + 1]
    names = job["result_details"]["images"]
    files = (stack.data / "outputs").glob(f"{job['stablequeue_job_id'][:8]}_*")
    assert [path.name for path in files] == names


@pytest.mark.parametrize(
    ("failpoint", "action"),
    [
        pytest.param("before_complete", "sleep=8", id="r23"),
        pytest.param("beat", "sleep=6", id="r24-late"),
        pytest.param("beat", "hang", id="r24-never"),
        pytest.param("before_send", "sleep=6", id="fenced-before-sending"),
    ],
)
def test_a_step_that_hangs_is_taken_over_and_adds_nothing_later(stack, forge, failpoint, action):
    alias = stack.add_server(forge.port)
    stack.fail_at(failpoint, action)

    job_id = stack.generate(alias, seed=SEED)
    job = stack.wait_for(job_id)
    staging = stack.data / "outputs" / ".staging"
    if failpoint == "before_complete":
        eventually(lambda: not list(staging.glob(f"{job_id}-*")), what="the late one's clean-up")

    charged = 1 if failpoint == "before_send" else 0
    assert_drawn(stack, job, forge, starts=1, charged=charged)
