"""Servers that are edited, moved, paused, drained, removed and added again while they work."""

import pytest

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import OwnRedis, Stack, eventually


@pytest.fixture
def slow():
    with ForgeSimulator(seconds=2) as simulator:
        yield simulator


def start_two(stack, forge, **server):
    """A server with one job that is being drawn and one that waits."""
    alias = stack.add_server(forge.port, **server)
    running, waiting = stack.generate(alias, seed=1), stack.generate(alias, seed=2)
    eventually(lambda: stack.job(running)["phase"] == "generating", what="drawing")
    return alias, running, waiting


def seeds(forge):
    return [entry.seed for entry in forge.journal.generations]


# R52
def test_a_server_that_moves_ends_its_job_where_it_began_and_goes_on_at_the_new_address(
    stack, slow, forge
):
    alias, running, waiting = start_two(stack, slow)

    stack.change_server(alias, alias=f"{alias}-moved", port=forge.port)

    assert stack.wait_for(running)["status"] == "completed"
    assert stack.wait_for(waiting)["status"] == "completed"
    assert (seeds(slow), seeds(forge)) == ([1], [2])
    assert slow.journal.generations[0].outcome == "completed"
    assert stack.job(waiting)["target_server_alias"] == alias
    stack.delete_server(f"{alias}-moved")


# R52
def test_a_removed_server_ends_its_job_and_holds_the_rest_until_it_is_added_again(stack, slow):
    alias, running, waiting = start_two(stack, slow)

    stack.delete_server(alias)

    assert stack.wait_for(running)["status"] == "completed"
    held = stack.job(waiting)
    assert (held["status"], held["phase"]) == ("pending", "waiting_for_server")
    assert "was removed" in held["reason"]
    assert seeds(slow) == [1]

    body = {"alias": alias, "host": "127.0.0.1", "port": slow.port}
    assert stack.api.post(f"{stack.url}/api/v1/servers", json=body, timeout=10).status_code == 201
    assert stack.wait_for(waiting)["status"] == "completed"


# R53
def test_a_paused_server_ends_what_runs_and_starts_nothing_until_it_is_resumed(stack, slow, forge):
    alias, running, waiting = start_two(stack, slow)

    assert stack.steer(alias, "pause")["is_paused"]

    assert stack.wait_for(running)["status"] == "completed"
    # Another server's job comes and goes: the dispatcher has looked, and passed this one by.
    stack.wait_for(stack.generate(stack.add_server(forge.port)), "completed")
    assert stack.job(waiting)["phase"] == "paused"
    assert seeds(slow) == [1]

    stack.steer(alias, "resume")
    assert stack.wait_for(waiting)["status"] == "completed"


def test_a_drained_server_says_when_it_is_idle(stack, slow):
    alias, running, waiting = start_two(stack, slow)

    assert stack.steer(alias, "drain")["drain"] == "draining"
    assert stack.job(running)["status"] == "processing"
    eventually(lambda: stack.server(alias)["drain"] == "drained", what="the end of the drain")

    assert [entry.outcome for entry in slow.journal.generations] == ["completed"]
    assert stack.job(waiting)["status"] == "pending"
    assert stack.steer(alias, "resume")["drain"] == ""
    assert stack.wait_for(waiting)["status"] == "completed"


def test_an_idle_server_is_drained_at_once(stack, forge):
    alias = stack.add_server(forge.port)

    stack.steer(alias, "drain")

    eventually(lambda: stack.server(alias)["drain"] == "drained", what="the end of the drain")


# R53
def test_pauses_and_holds_survive_a_restart_of_everything(tmp_path):
    with (
        OwnRedis(tmp_path) as redis,
        ForgeSimulator(seconds=2) as slow,
        ForgeSimulator(seconds=0) as failing,
        Stack(tmp_path / "data", redis_url=redis.url) as stack,
    ):
        paused, running, waiting = start_two(stack, slow)
        stack.steer(paused, "pause")
        held = stack.add_server(failing.port)
        # As often as holds it, and no more: it may be on trial before anybody resumes it.
        failing.fault("error_500_text", times=5)
        doomed = [stack.generate(held) for _ in range(2)]
        before = eventually(lambda: stack.server(held)["held_until"], what="the hold")

        stack.kill_everything()
        redis.client.flushall()
        stack.start()

        assert stack.server(paused)["is_paused"]
        # Until then, or longer if it was on trial and failed again meanwhile.
        assert (stack.server(held)["held_until"] or before) >= before
        assert stack.wait_for(running)["status"] in ("completed", "pending")
        assert stack.job(waiting)["phase"] == "paused"
        assert 2 not in seeds(slow)
        failing.reset()
        stack.steer(paused, "resume")
        stack.steer(held, "resume")
        for job_id in (running, waiting, *doomed):
            assert stack.wait_for(job_id)["status"] == "completed"
