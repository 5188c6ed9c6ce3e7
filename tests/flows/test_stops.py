"""A worker or a dispatcher that is told to stop costs nobody anything."""

import re

import psutil  # type: ignore[import-untyped]
import pytest

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import eventually


@pytest.fixture
def begun(stack):
    """Begin a job on a Forge that takes so many seconds; returns the job's id and the Forge."""
    forges = []

    def begin(seconds):
        forge = ForgeSimulator(seconds=seconds).__enter__()
        forges.append(forge)
        alias = stack.add_server(forge.port)
        job_id = stack.generate(alias)
        eventually(lambda: stack.job(job_id)["phase"] == "generating", what="drawing")
        return job_id, forge, alias

    yield begin
    for forge in forges:
        forge.__exit__(None, None, None)


def claimer_of(stack, job_id):
    """The process id of the worker that took the job up."""
    line = rf"job {job_id[:8]} job\.claimed .*worker=worker@\S+:(\d+)"
    return int(re.findall(line, stack.log("worker"))[-1])


def test_a_worker_told_to_stop_finishes_a_short_job_and_takes_up_no_other(stack, begun):
    short, forge, alias = begun(2)
    next_one = stack.generate(alias)
    said_before = len(stack.log("supervisor"))

    [worker, *_] = stack.tell_to_stop("--servers")
    jobs = [stack.wait_for(job_id) for job_id in (short, next_one)]

    assert [job["status"] for job in jobs] == ["completed"] * 2
    assert len(forge.journal.generations) == 2
    assert claimer_of(stack, short) == worker.pid
    assert claimer_of(stack, next_one) != worker.pid
    assert "exited: worker (exit status 0;" in stack.log("supervisor")[said_before:]


def test_a_worker_told_to_stop_hands_a_long_job_over_to_the_next_one(stack, begun):
    long_one, forge, _ = begun(9)

    [worker, *_] = stack.tell_to_stop("--servers")
    psutil.wait_procs([worker], timeout=20)
    still_drawing = forge.journal.generations[0].outcome
    job = stack.wait_for(long_one)

    assert not worker.is_running()
    assert still_drawing == "running"
    assert (job["status"], job["retry_count"], job["errors"]) == ("completed", 0, [])
    assert [entry.outcome for entry in forge.journal.generations] == ["completed"]


def test_a_worker_that_is_killed_before_it_could_hand_over_fails_no_job(stack, begun):
    job_id, forge, _ = begun(5)

    for process in stack.tell_to_stop("--servers"):
        process.kill()
    job = stack.wait_for(job_id)

    assert job["status"] == "completed"
    assert job["retry_count"] == len(forge.journal.generations) - 1
    assert forge.journal.max_parallel == 1


def test_a_cancelled_generation_is_watched_to_its_end_by_the_next_worker(stack, begun):
    job_id, forge, alias = begun(9)
    forge.fault("ignore_interrupt")
    stack.cancel(job_id)

    stack.tell_to_stop("--servers")
    following = stack.wait_for(stack.generate(alias))

    assert following["status"] == "completed"
    assert forge.journal.max_parallel == 1
    assert stack.job(job_id)["status"] == "cancelled"


def test_a_dispatcher_told_to_stop_lets_go_of_the_lead_by_itself(stack, begun):
    _, _, alias = begun(0.5)
    said_before = len(stack.log("supervisor"))

    stack.tell_to_stop("manage.py dispatcher")

    assert stack.wait_for(stack.generate(alias))["status"] == "completed"
    assert "exited: dispatcher (exit status 0;" in stack.log("supervisor")[said_before:]
