"""Cancels and deletes that come at any moment of a job's way, while others use the same Forges.

A hundred by default; CANCEL_RACES says how many.
"""

import contextlib
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import requests

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import eventually, is_idle

RACES = int(os.environ.get("CANCEL_RACES", "100"))
DRAWING = (0.0, 0.05, 0.2, 1.2)
"""Seconds a picture takes: from Forges that answer at once to some that can be interrupted."""


@dataclass
class Lane:
    """One Forge, and who submits to it and changes his mind."""

    forge: ForgeSimulator
    alias: str
    seed: int
    stopped: set[str] = field(default_factory=set)
    """Jobs whose cancel or delete was answered with a yes."""
    too_late: set[str] = field(default_factory=set)
    patience: float = 0.5
    """Seconds within which he does, balanced so that some come too late on any machine."""

    def race(self, stack, count):
        chance = random.Random(self.seed)
        with requests.Session() as api:
            api.headers.update(stack.api.headers)
            for _ in range(count):
                self._one(stack, api, chance)

    def _one(self, stack, api, chance):
        if chance.random() < 0.15:
            self.forge.foreign(seconds=chance.uniform(0, 0.1))
        parameters = {"positive_prompt": "a cat", "steps": 20, "width": 64, "height": 64}
        body = {"target_server_alias": self.alias, "generation_params": parameters}
        answer = api.post(f"{stack.url}/api/v1/generate", json=body, timeout=10)
        job_id = answer.json()["stablequeue_job_id"]
        # Not to wait for anything: the moment of the cancel is what is tried out.
        time.sleep(chance.uniform(0, self.patience))
        if chance.random() < 0.3:
            self.forge.foreign(seconds=chance.uniform(0, 0.1))
        job = f"{stack.url}/api/v1/queue/jobs/{job_id}"
        if chance.random() < 0.15:
            answer = api.delete(job, timeout=10)
        else:
            answer = api.post(f"{job}/cancel", timeout=10)
        if answer.status_code == 200:
            self.stopped.add(job_id)
            self.patience *= 1.05
        else:
            self.too_late.add(job_id)
            self.patience *= 0.85


@pytest.fixture
def lanes(stack):
    with contextlib.ExitStack() as running:
        found = []
        for seed, seconds in enumerate(DRAWING * 2):
            forge = running.enter_context(ForgeSimulator(seconds=seconds, load_seconds=0))
            found.append(Lane(forge, stack.add_server(forge.port), seed))
        yield found


def _owner(task_id):
    """The job a task is of; what a person draws on Forge's page is nobody's."""
    return task_id[:36] if task_id and not task_id.startswith("task(") else None


# R47, R50
@pytest.mark.timeout(60 + RACES // 5)
def test_after_a_cancel_was_answered_nothing_comes_and_nobody_else_is_interrupted(stack, lanes):
    with ThreadPoolExecutor(len(lanes)) as racers:
        list(racers.map(lambda lane: lane.race(stack, -(-RACES // len(lanes))), lanes))
    # A Forge that draws one more has none of the stopped ones left.
    last = [stack.generate(lane.alias) for lane in lanes]
    assert {stack.wait_for(job_id, seconds=90)["status"] for job_id in last} == {"completed"}
    eventually(lambda: all(is_idle(lane.forge) for lane in lanes), what="idle Forges")

    stopped = set().union(*(lane.stopped for lane in lanes))
    too_late = set().union(*(lane.too_late for lane in lanes))
    assert stopped
    assert too_late
    pictures = {path.name[:8] for path in (stack.data / "outputs").glob("*.png")}
    assert not {job_id for job_id in stopped if job_id[:8] in pictures}
    for job_id in stopped:
        answer = stack.api.get(f"{stack.url}/api/v1/queue/jobs/{job_id}/status", timeout=10)
        assert answer.status_code == 404 or answer.json()["status"] == "cancelled"
    for job_id in too_late:
        assert stack.job(job_id)["status"] == "completed"
        assert job_id[:8] in pictures

    for lane in lanes:
        foreign = [entry for entry in lane.forge.journal.generations if not _owner(entry.task_id)]
        assert {entry.outcome for entry in foreign} <= {"completed"}
        for interrupt in lane.forge.journal.interrupts:
            assert _owner(interrupt.task_id) in lane.stopped
            assert interrupt.seconds_since_poll < 0.1
