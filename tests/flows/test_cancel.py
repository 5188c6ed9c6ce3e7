"""A cancelled job interrupts only its own generation, and leaves no picture."""

import pytest

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import eventually, is_idle


@pytest.fixture
def slow():
    with ForgeSimulator(seconds=4) as simulator:
        yield simulator


def test_a_cancelled_waiting_job_never_reaches_forge(stack, slow):
    alias = stack.add_server(slow.port)
    running, waiting = stack.generate(alias, seed=1), stack.generate(alias, seed=2)
    stack.wait_for(running, "processing")

    answer = stack.cancel(waiting)

    assert answer.json()["message"] == "Job cancelled successfully."
    assert answer.json()["job"]["status"] == "cancelled"
    assert stack.wait_for(running)["status"] == "completed"
    assert [entry.seed for entry in slow.journal.generations] == [1]


def test_a_cancelled_running_job_is_interrupted_and_the_next_one_goes_on(stack, slow):
    alias = stack.add_server(slow.port)
    running, following = stack.generate(alias, seed=1), stack.generate(alias, seed=2)
    eventually(lambda: stack.job(running)["phase"] == "generating", what="drawing")

    assert stack.cancel(running).status_code == 200

    assert stack.wait_for(following)["status"] == "completed"
    assert [entry.outcome for entry in slow.journal.generations] == ["interrupted", "completed"]
    assert stack.job(running)["status"] == "cancelled"
    assert stack.job(running)["result_details"] == {
        "cancelled": True,
        "message": "Job cancelled by user",
    }


# R49
def test_while_somebody_else_draws_nothing_is_interrupted(stack, slow):
    alias = stack.add_server(slow.port)
    slow.foreign(seconds=2)
    ours = stack.generate(alias)
    eventually(lambda: stack.job(ours)["phase"] == "queued_on_forge", what="queueing on Forge")

    stack.cancel(ours)

    eventually(lambda: len(slow.journal.generations) == 2 and is_idle(slow), what="both ended")
    assert [entry.outcome for entry in slow.journal.generations] == ["completed", "interrupted"]


# R51
def test_a_deleted_running_job_is_gone_and_leaves_nothing(stack, slow):
    alias = stack.add_server(slow.port)
    job_id = stack.generate(alias)
    eventually(lambda: stack.job(job_id)["phase"] == "generating", what="drawing")

    answer = stack.api.delete(f"{stack.url}/api/v1/queue/jobs/{job_id}", timeout=10)

    assert answer.json()["message"] == f"Job {job_id} deleted successfully."
    status = stack.api.get(f"{stack.url}/api/v1/queue/jobs/{job_id}/status", timeout=10)
    assert status.status_code == 404
    eventually(lambda: is_idle(slow), what="Forge idle")
    assert slow.journal.generations[0].outcome == "interrupted"
    outputs = stack.data / "outputs"
    assert not list(outputs.glob(f"{job_id[:8]}_*"))


def test_an_ended_job_cannot_be_cancelled(stack, forge):
    job_id = stack.generate(stack.add_server(forge.port))
    stack.wait_for(job_id, "completed")

    answer = stack.cancel(job_id)

    assert answer.status_code == 400
    assert answer.json()["error"] == "job_operation_invalid"
    assert "completed" in answer.json()["message"]


# R46
def test_progress_of_somebody_elses_picture_is_not_taken_for_ours(stack, slow):
    alias = stack.add_server(slow.port)
    slow.foreign(seconds=2)
    ours = stack.generate(alias)
    eventually(lambda: stack.job(ours)["phase"] == "queued_on_forge", what="queueing on Forge")

    seen = set()

    def is_our_turn():
        job = stack.job(ours)
        seen.add(job["progress_percentage"] if job["phase"] == "queued_on_forge" else 0.0)
        return job["phase"] != "queued_on_forge"

    eventually(is_our_turn, what="our turn")

    assert seen == {0.0}
    stack.cancel(ours)
    eventually(lambda: is_idle(slow), what="Forge idle")
    assert slow.journal.generations[0].outcome == "completed"


# R48
def test_a_forge_that_ignores_interrupts_keeps_the_next_job_waiting_not_the_person(stack, slow):
    alias = stack.add_server(slow.port)
    slow.fault("ignore_interrupt", times=1000)
    ours, following = stack.generate(alias, seed=1), stack.generate(alias, seed=2)
    eventually(lambda: stack.job(ours)["phase"] == "generating", what="drawing")

    stack.cancel(ours)

    assert stack.job(ours)["status"] == "cancelled"
    eventually(lambda: slow.journal.interrupts, what="an interrupt")
    assert stack.job(following)["status"] == "pending"
    assert stack.wait_for(following)["status"] == "completed"
    first, second = slow.journal.generations
    assert first.outcome == "completed"
    assert second.arrived_at >= first.ended_at
    assert not list((stack.data / "outputs").glob(f"{ours[:8]}_*"))


def test_a_retry_of_a_cancelled_job_waits_until_its_old_try_is_over(stack, slow):
    ours = stack.generate(stack.add_server(slow.port), seed=1)
    eventually(lambda: stack.job(ours)["phase"] == "generating", what="drawing")
    stack.cancel(ours)

    answer = stack.api.post(f"{stack.url}/api/v1/queue/jobs/{ours}/retry", timeout=10)

    assert answer.json()["job"]["status"] == "pending"
    assert stack.wait_for(ours)["status"] == "completed"
    first, second = slow.journal.generations
    assert (first.outcome, second.outcome) == ("interrupted", "completed")
    assert (first.seed, second.seed) == (1, 1)
    assert second.arrived_at >= first.ended_at
