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


def test_while_somebody_else_draws_nothing_is_interrupted(stack, slow):
    alias = stack.add_server(slow.port)
    slow.foreign(seconds=2)
    ours = stack.generate(alias)
    eventually(lambda: stack.job(ours)["phase"] == "queued_on_forge", what="queueing on Forge")

    stack.cancel(ours)

    eventually(lambda: len(slow.journal.generations) == 2 and is_idle(slow), what="both ended")
    assert [entry.outcome for entry in slow.journal.generations] == ["completed", "interrupted"]


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
