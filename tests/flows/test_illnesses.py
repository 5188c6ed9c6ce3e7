"""A Forge that lost its checkpoint: the queue goes on, and no job pays for it."""

import requests

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import eventually

LOST, OTHER = "rootrandom_v1.safetensors", "Pony/tinyrandom_v1.safetensors"
BROKEN = "broken_v1.safetensors"
WAITING = 20


def draw_with(forge, checkpoint):
    """What a stranger gets who draws at that Forge itself."""
    body = {"steps": 1, "override_settings": {"sd_model_checkpoint": checkpoint}}
    return requests.post(f"{forge.url}/sdapi/v1/txt2img", json=body, timeout=10).status_code


def put_broken(forge):
    forge.put_model(BROKEN, broken=True)
    requests.post(f"{forge.url}/sdapi/v1/refresh-checkpoints", timeout=10)


def test_a_poisoned_forge_is_healed_and_none_of_twenty_waiting_jobs_pays(stack):
    with ForgeSimulator(seconds=0.05, load_seconds=0.05) as forge:
        put_broken(forge)
        alias = stack.add_server(forge.port)
        stack.steer(alias, "pause")
        jobs = [stack.generate(alias, checkpoint_name=LOST, seed=n) for n in range(WAITING)]
        assert [draw_with(forge, name) for name in (LOST, BROKEN)] == [200, 500]
        stack.steer(alias, "resume")

        done = [stack.wait_for(job_id) for job_id in jobs]

        assert [job["status"] for job in done] == ["completed"] * WAITING
        assert all((job["retry_count"], job["errors"]) == (0, []) for job in done)
        assert stack.server(alias)["held_until"] is None
        drawn = [it.checkpoint for it in forge.journal.generations if it.outcome == "completed"]
        assert drawn == [LOST, OTHER, *[LOST] * WAITING]
        assert forge.journal.count(lambda it: it.outcome == "failed") <= 3


def test_a_job_on_a_broken_checkpoint_fails_alone(stack):
    with ForgeSimulator(seconds=0.05, load_seconds=0.05) as forge:
        put_broken(forge)
        alias = stack.add_server(forge.port)
        before = stack.generate(alias, checkpoint_name=LOST)
        doomed = stack.generate(alias, checkpoint_name=BROKEN)
        after = [stack.generate(alias, checkpoint_name=LOST) for _ in range(5)]

        job = stack.wait_for(doomed)
        others = [stack.wait_for(job_id) for job_id in (before, *after)]

        assert (job["status"], job["retry_count"]) == ("failed", 0)
        assert job["result_details"]["error"] == "FORGE_CHECKPOINT_BROKEN"
        assert BROKEN in job["result_details"]["message"]
        assert [other["status"] for other in others] == ["completed"] * 6
        assert all((other["retry_count"], other["errors"]) == (0, []) for other in others)


def test_a_forge_that_nothing_heals_keeps_its_jobs_until_it_was_restarted(stack):
    with ForgeSimulator([LOST], seconds=0.05, load_seconds=0.05) as forge:
        put_broken(forge)
        alias = stack.add_server(forge.port)
        assert [draw_with(forge, name) for name in (LOST, BROKEN)] == [200, 500]
        jobs = [stack.generate(alias, checkpoint_name=LOST) for _ in range(3)]
        eventually(lambda: stack.server(alias)["held_until"], what="the hold")

        assert "Restart that Forge" in stack.server(alias)["held_reason"]
        waiting = [stack.job(job_id) for job_id in jobs]
        assert {(job["status"], job["retry_count"]) for job in waiting} == {("pending", 0)}

        forge.restart()
        stack.steer(alias, "resume")
        assert [stack.wait_for(job_id)["status"] for job_id in jobs] == ["completed"] * 3
