"""Servers that are off, asleep, crash, hang or fail: what waits is kept, others go on."""

import os

import pytest

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import OwnRedis, Stack, eventually
from tests.flows.vanishing import VanishingMachine

WAITING = int(os.environ.get("JOBS_WAITING_FOR_A_DAY", "100"))
LOOKS = 40
"""So many jobs wait for so many looks at a server that is off, which stand for a day of them."""

NEVER_CHARGED = {"retry_count": 0, "errors": []}


def charges(job):
    return {name: job[name] for name in NEVER_CHARGED}


def wait_for_health(stack, alias, health):
    eventually(lambda: stack.server(alias)["health"] == health, what=f"{alias} {health}")


def let_looks_pass(stack, alias, count):
    """Wait until a server was looked at so often."""
    looks = set()

    def enough():
        looks.add(stack.server(alias)["checked_at"])
        return len(looks) > count

    eventually(enough, seconds=60, what=f"{count} looks at {alias}")


@pytest.fixture
def other():
    """A second Forge, that nothing befalls."""
    with ForgeSimulator(seconds=0.1) as simulator:
        yield simulator


@pytest.fixture
def away():
    """A Forge whose machine is off."""
    simulator = ForgeSimulator(seconds=0, load_seconds=0)
    simulator.start()
    simulator.stop()
    yield simulator
    simulator.stop()


# R36
def test_a_forge_that_is_off_for_a_day_costs_no_attempt_and_floods_no_log(stack, away):
    alias = stack.add_server(away.port)
    batch = stack.generate_many(alias, WAITING)
    wait_for_health(stack, alias, "offline")
    lines_before = len(stack.log_lines())

    let_looks_pass(stack, alias, LOOKS)
    lines = [line for line in stack.log_lines()[lines_before:] if f":{away.port}" in line]
    waiting = stack.jobs(batch=batch, limit=500)

    assert {job["status"] for job in waiting} == {"pending"}
    assert {job["phase"] for job in waiting} == {"waiting_for_server"}
    assert all(charges(job) == NEVER_CHARGED for job in waiting)
    assert len(lines) <= 1

    away.start()
    done = eventually(
        lambda: (now := stack.batch(batch))["is_finished"] and now, seconds=120, what="all done"
    )
    assert done["counts"]["completed"] == WAITING
    assert all(charges(job) == NEVER_CHARGED for job in stack.jobs(batch=batch, limit=500))
    assert len(away.journal.generations) == WAITING


# R37
def test_a_machine_that_sleeps_costs_no_attempt_and_does_not_slow_the_others(stack, forge, other):
    with VanishingMachine(forge.port) as machine:
        asleep, awake = stack.add_server(machine.port), stack.add_server(other.port)
        wait_for_health(stack, asleep, "online")
        machine.fall_asleep()
        waiting = [stack.generate(asleep, seed=seed) for seed in range(3)]
        others = [stack.generate(awake, seed=seed) for seed in range(10)]

        assert [stack.wait_for(job_id)["status"] for job_id in others] == ["completed"] * 10
        wait_for_health(stack, asleep, "offline")
        shown = [stack.job(job_id) for job_id in waiting]
        assert {job["status"] for job in shown} == {"pending"}
        assert all(charges(job) == NEVER_CHARGED for job in shown)
        assert not forge.journal.generations

        machine.wake_up()
        done = [stack.wait_for(job_id) for job_id in waiting]
        assert {job["status"] for job in done} == {"completed"}
        assert all(charges(job) == NEVER_CHARGED for job in done)
        assert len(forge.journal.generations) == 3


# R39
def test_a_forge_that_crashes_in_the_middle_draws_again_after_its_return(stack, forge):
    alias = stack.add_server(forge.port)
    forge.fault("die", match="fatal")
    fatal = stack.generate(alias, positive_prompt="fatal", seed=7)
    other = stack.generate(alias, seed=8)
    eventually(lambda: stack.server(alias)["health"] == "offline", what="its absence")

    forge.restart()
    first, second = stack.wait_for(fatal), stack.wait_for(other)

    assert (first["status"], second["status"]) == ("completed", "completed")
    assert first["retry_count"] == 1
    assert charges(second) == NEVER_CHARGED
    assert [entry.seed for entry in forge.journal.generations].count(7) == 2
    assert len(forge.journal.generations) == 3


# R41
@pytest.mark.parametrize("fault", ["error_500_text", "oom"])
def test_a_job_that_forge_fails_every_time_fails_with_a_code_and_the_next_goes_on(
    stack, forge, fault
):
    alias = stack.add_server(forge.port)
    forge.fault(fault, times=4, match="doomed")
    doomed = stack.generate(alias, positive_prompt="doomed")
    following = stack.generate(alias)

    assert stack.wait_for(following)["status"] == "completed"
    job = stack.wait_for(doomed)

    assert (job["status"], job["result_details"]["error"]) == ("failed", "FORGE_FAILED")
    assert [error["attempt"] for error in job["errors"]] == [1, 2, 3, 4]
    assert stack.server(alias)["held_until"] is None


# R56
def test_a_job_that_crashes_its_forge_every_time_is_given_up_and_others_run_between(stack, forge):
    alias = stack.add_server(forge.port)
    forge.fault("die", times=9, match="poison")
    poison = stack.generate(alias, positive_prompt="poison", seed=1)
    others = [stack.generate(alias, seed=seed) for seed in (2, 3, 4)]

    crashed = 0

    def given_up():
        nonlocal crashed
        crashes = forge.journal.count(lambda entry: entry.seed == 1 and entry.outcome == "failed")
        if crashes > crashed and stack.server(alias)["health"] == "offline":
            crashed = crashes
            forge.start()
        return stack.job(poison)["status"] == "failed"

    eventually(given_up, seconds=60, what="an end of it")
    job = stack.job(poison)

    assert job["result_details"]["error"] == "POISON"
    assert [stack.wait_for(job_id)["status"] for job_id in others] == ["completed"] * 3
    seeds = [entry.seed for entry in forge.journal.generations]
    assert seeds.count(1) == 2
    assert seeds[0] == 1
    assert seeds[1] != 1


def test_a_server_that_keeps_failing_is_held_tried_again_and_released(stack, forge, other):
    bad, good = stack.add_server(forge.port), stack.add_server(other.port)
    forge.fault("error_500_text", times=6)
    jobs = [stack.generate(bad, seed=seed) for seed in range(4)]
    eventually(lambda: stack.server(bad)["held_until"], what="the hold")

    held, waiting = stack.server(bad), stack.jobs(status="pending")
    assert "failed 5 jobs in a row" in held["held_reason"]
    of_bad = [job for job in waiting if job["target_server_alias"] == bad]
    assert of_bad
    assert {job["phase"] for job in of_bad} == {"waiting_for_server"}
    assert all("is held and tried again by itself" in job["reason"] for job in of_bad)
    others = [stack.generate(good) for _ in range(5)]
    assert [stack.wait_for(job_id)["status"] for job_id in others] == ["completed"] * 5

    # One is let through and fails, then it is held again; the next one is drawn.
    done = [stack.wait_for(job_id)["status"] for job_id in jobs]
    assert stack.server(bad)["held_until"] is None
    outcomes = [entry.outcome for entry in forge.journal.generations]
    assert outcomes == ["failed"] * 6 + ["completed"] * done.count("completed")
    # Six failures are enough to fail one job, where its turn comes often.
    assert done.count("completed") >= 3


def test_a_person_releases_a_held_server_at_once(stack, forge):
    alias = stack.add_server(forge.port)
    forge.fault("error_500_text", times=5)
    jobs = [stack.generate(alias) for _ in range(2)]
    eventually(lambda: stack.server(alias)["held_until"], what="the hold")

    assert stack.steer(alias, "resume")["held_until"] is None

    assert stack.wait_for(jobs[1])["status"] == "completed"


def test_a_server_that_hangs_is_held_while_others_go_on(tmp_path):
    with (
        OwnRedis(tmp_path) as redis,
        ForgeSimulator(seconds=0.3) as hanging,
        ForgeSimulator(seconds=0.1) as other,
        Stack(tmp_path / "data", redis_url=redis.url, STABLEQUEUE_STALL_SECONDS="10") as stack,
    ):
        bad, good = stack.add_server(hanging.port), stack.add_server(other.port)
        hanging.fault("hang", match="hangs")
        stuck = stack.generate(bad, positive_prompt="hangs")
        waiting = stack.generate(bad)
        others = stack.generate_many(good, 30)

        eventually(lambda: stack.server(bad)["held_until"], seconds=90, what="the hold")
        assert "no progress" in stack.server(bad)["held_reason"]
        assert stack.job(waiting)["phase"] == "waiting_for_server"
        assert stack.job(stuck)["status"] == "pending"
        eventually(lambda: stack.batch(others)["is_finished"], seconds=90, what="the others")
        assert len(hanging.journal.generations) == 1

        hanging.restart()
        stack.steer(bad, "resume")
        assert stack.wait_for(waiting)["status"] == "completed"
        assert stack.wait_for(stuck)["status"] == "completed"
