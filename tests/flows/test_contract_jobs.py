"""The contract's examples of jobs that were drawn or cancelled, from the running service."""

from __future__ import annotations

import pytest

from servers.simulator import ForgeSimulator, ModelFile
from tests.contracts.examples import assert_like, load, replays

MODELS = [
    ModelFile("Pony/cyberrealisticPony_v8.safetensors"),
    ModelFile("Pony/cyberrealisticPony_v85.safetensors"),
]


@pytest.fixture
def laptop(stack):
    """The server "Laptop" of the examples, which draws for as long as it is told to."""
    running = []

    def start(seconds):
        running.append(ForgeSimulator(MODELS, windows=True, seconds=seconds).__enter__())
        stack.add_server(running[0].port, alias="Laptop")

    yield start
    stack.api.delete(f"{stack.url}/api/v1/servers/Laptop", timeout=10)
    running[0].__exit__(None, None, None)


@replays("job-status")
def test_a_completed_job_is_shown(stack, laptop):
    example = load("job-status")["response"]
    laptop(seconds=0.3)

    job_id = stack.generate("Laptop", **example["generation_params"])
    job = stack.wait_for(job_id)

    assert_like(example, job)
    assert job["generation_params"] == example["generation_params"]
    assert (job["stablequeue_job_id"], job["retry_count"]) == (job_id, 0)
    assert job["completion_timestamp"] >= job["creation_timestamp"]


@replays("job-cancel")
def test_a_cancelled_job_is_shown(stack, laptop):
    example = load("job-cancel")["response"]
    laptop(seconds=5)
    job_id = stack.generate("Laptop", **example["job"]["generation_params"])
    stack.wait_for(job_id, "processing")

    answer = stack.cancel(job_id)

    assert answer.status_code == 200
    assert_like(example, answer.json())
    assert answer.json()["job"]["generation_params"] == example["job"]["generation_params"]
