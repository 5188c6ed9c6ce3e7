"""The order of what waits, and pauses, over real processes."""

import pytest

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import OwnRedis, Stack, eventually


def ask(stack, verb, path, **body):
    answer = stack.api.request(verb, f"{stack.url}/api/v1/{path}", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def seeds(forge):
    return [entry.seed for entry in forge.journal.generations]


@pytest.fixture
def unpaused(stack):
    yield stack
    ask(stack, "POST", "queue/resume")


def test_what_waits_is_drawn_in_the_order_that_people_gave_it(stack, forge):
    alias = stack.add_server(forge.port)
    stack.steer(alias, "pause")
    jobs = [stack.generate(alias, seed=seed) for seed in range(1, 6)]
    ask(stack, "PATCH", f"queue/jobs/{jobs[3]}", priority=9)
    ask(stack, "POST", f"queue/jobs/{jobs[4]}/move", to="front")
    ask(stack, "POST", f"queue/jobs/{jobs[2]}/move", before=jobs[0])

    stack.steer(alias, "resume")

    for job in jobs:
        assert stack.wait_for(job)["status"] == "completed"
    assert seeds(forge) == [5, 4, 3, 1, 2]


def test_jobs_that_alternate_over_two_checkpoints_load_each_once(stack):
    names = ["one.safetensors", "two.safetensors"]
    with ForgeSimulator(names, seconds=0.1, load_seconds=0.1) as forge:
        alias = stack.add_server(forge.port)
        stack.steer(alias, "pause")
        jobs = [stack.generate(alias, checkpoint_name=name) for name in names * 4]

        stack.steer(alias, "resume")

        for job in jobs:
            assert stack.wait_for(job)["status"] == "completed"
        drawn = [str(entry.checkpoint) for entry in forge.journal.generations]
        assert drawn == sorted(drawn)


def test_a_paused_queue_ends_what_runs_and_starts_only_what_is_wanted_now(unpaused):
    stack = unpaused
    with ForgeSimulator(seconds=1) as forge:
        alias = stack.add_server(forge.port)
        running, waiting, wanted = (stack.generate(alias, seed=seed) for seed in (1, 2, 3))
        eventually(lambda: stack.job(running)["phase"] == "generating", what="drawing")

        assert ask(stack, "POST", "queue/pause", reason="Dinner")["is_paused"]
        assert stack.wait_for(running)["status"] == "completed"
        assert "Dinner" in stack.job(waiting)["reason"]
        ask(stack, "POST", f"queue/jobs/{wanted}/run-now")

        assert stack.wait_for(wanted)["status"] == "completed"
        assert stack.job(waiting)["phase"] == "paused"
        assert seeds(forge) == [1, 3]

        ask(stack, "POST", "queue/resume")
        assert stack.wait_for(waiting)["status"] == "completed"


def test_a_pause_of_the_queue_and_the_order_survive_a_restart_of_everything(tmp_path):
    with (
        OwnRedis(tmp_path) as redis,
        ForgeSimulator(seconds=0.2) as forge,
        Stack(tmp_path / "data", redis_url=redis.url) as stack,
    ):
        alias = stack.add_server(forge.port)
        ask(stack, "POST", "queue/pause", reason="Night")
        jobs = [stack.generate(alias, seed=seed) for seed in (1, 2, 3)]
        ask(stack, "POST", f"queue/jobs/{jobs[2]}/move", to="front")

        stack.kill_everything()
        redis.client.flushall()
        stack.start()

        assert ask(stack, "GET", "queue")["reason"] == "Night"
        assert {stack.job(job)["phase"] for job in jobs} == {"paused"}
        assert seeds(forge) == []
        ask(stack, "POST", "queue/resume")
        for job in jobs:
            assert stack.wait_for(job)["status"] == "completed"
        assert seeds(forge) == [3, 1, 2]


def test_a_server_draws_nothing_in_its_quiet_hours_and_goes_on_when_they_are_taken_away(
    stack, forge
):
    always = [{"from": "00:00", "to": "00:00"}]
    alias = stack.add_server(forge.port, quiet_hours=always)
    eventually(lambda: stack.server(alias)["quiet_until"], what="rest")
    job = stack.generate(alias)
    # Another server's job comes and goes: the dispatcher has looked, and passed this one by.
    stack.wait_for(stack.generate(stack.add_server(forge.port), seed=7), "completed")
    assert "quiet hours" in stack.job(job)["reason"]
    assert seeds(forge) == [7]

    stack.change_server(alias, quiet_hours=[])

    assert stack.wait_for(job)["status"] == "completed"
