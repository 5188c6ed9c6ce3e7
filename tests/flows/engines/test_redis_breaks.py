"""Redis may be lost, emptied, full, slow or full of rubbish: no job is lost, none drawn twice."""

import contextlib
import json
import uuid

import pytest
import redis as redis_errors

from servers.simulator.server import ForgeSimulator
from tests.flows.engines.lab import starts
from tests.flows.stack import eventually


@pytest.fixture
def slow():
    """A Forge that draws for two seconds, so that something breaks in the middle."""
    with ForgeSimulator(seconds=2) as simulator:
        yield simulator


def all_done(lab, jobs):
    return [lab.wait_for(job_id, seconds=60)["status"] for job_id in jobs] == ["completed"] * len(
        jobs
    )


def drawing(lab, job_id):
    eventually(lambda: lab.job(job_id)["phase"] == "generating", what="drawing")


def test_r5_a_wiped_redis_costs_a_moment_and_keeps_the_order(lab):
    with ForgeSimulator(seconds=0.1) as forge:
        alias = lab.add_server(forge.port)
        jobs = [lab.generate(alias, seed=seed) for seed in range(50)]
        eventually(lambda: starts(forge), what="the first drawing")

        lab.redis.client.flushall()

        assert all_done(lab, jobs)
        assert [entry.seed for entry in forge.journal.generations] == list(range(50))


def test_r5_a_message_that_was_wiped_is_sent_again(lab, forge):
    alias, worker = lab.add_server(forge.port), lab.worker()
    worker.suspend()
    job_id = lab.generate(alias, seed=1)
    eventually(lambda: lab.redis.client.llen(lab.queue_of(alias)), what="the message")

    lab.redis.client.flushall()
    worker.resume()

    assert all_done(lab, [job_id])
    assert starts(forge) == {1: 1}


def test_r6_workers_consume_again_after_redis_was_killed_and_came_back_empty(lab, forge, slow):
    alias, busy = lab.add_server(forge.port), lab.add_server(slow.port)
    running = lab.generate(busy, seed=1)
    drawing(lab, running)

    lab.redis.stop()
    waiting = lab.generate(alias, seed=2)
    assert lab.until_complaint("broker")["status"] == "degraded"
    lab.redis.start()

    assert all_done(lab, [running, waiting])
    assert starts(forge, slow) == {1: 1, 2: 1}


def test_r7_flapping_connections_lose_nothing(lab, forge):
    alias = lab.add_server(forge.port)
    jobs = []

    for seed in range(10):
        jobs.append(lab.generate(alias, seed=seed))
        for kind in ("normal", "pubsub"):
            with contextlib.suppress(redis_errors.ConnectionError):
                lab.redis.client.execute_command("CLIENT", "KILL", "TYPE", kind)

    assert all_done(lab, jobs)
    assert starts(forge) == dict.fromkeys(range(10), 1)


def test_r8_a_pulled_cable_is_noticed_and_the_running_job_goes_on(lab, forge, slow):
    alias, busy = lab.add_server(forge.port), lab.add_server(slow.port)
    running = lab.generate(busy, seed=1)
    drawing(lab, running)

    with lab.network.frozen():
        waiting = lab.generate(alias, seed=2)
        assert lab.until_complaint("broker")["status"] == "degraded"
        assert lab.wait_for(running)["status"] == "completed"

    assert all_done(lab, [waiting])
    assert starts(forge, slow) == {1: 1, 2: 1}


def test_r8_connections_that_died_unnoticed_are_made_anew(lab, forge):
    alias = lab.add_server(forge.port)

    with lab.network.frozen(new_ones=False):
        assert all_done(lab, [lab.generate(alias, seed=1)])

    assert starts(forge) == {1: 1}


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ({"maxmemory": "1mb", "maxmemory-policy": "noeviction"}, {"maxmemory": "0"}),
        ({"min-replicas-to-write": "1"}, {"min-replicas-to-write": "0"}),
    ],
    ids=["full", "read only"],
)
def test_r9_a_redis_that_takes_nothing_is_told_and_jobs_are_accepted(lab, forge, wrong, right):
    alias = lab.add_server(forge.port)
    with contextlib.suppress(redis_errors.ResponseError):
        for name, value in wrong.items():
            lab.redis.client.config_set(name, value)

    job_id = lab.generate(alias, seed=1)
    told = lab.until_complaint("broker")
    for name, value in right.items():
        lab.redis.client.config_set(name, value)

    assert (told["status"], told["broker"]["state"]) == ("degraded", "refuses")
    assert all_done(lab, [job_id])
    assert starts(forge) == {1: 1}
    lab.until_well()


def test_r9_a_worker_outlives_a_redis_that_refuses_with_the_job_it_runs(lab, slow):
    running = lab.generate(lab.add_server(slow.port), seed=1)
    drawing(lab, running)
    before = len(lab.said_by("worker"))

    lab.redis.client.config_set("min-replicas-to-write", "1")
    eventually(lambda: "NOREPLICAS" in lab.said_by("worker")[before:], what="a word in its log")
    lab.redis.client.config_set("min-replicas-to-write", "0")

    assert all_done(lab, [running])
    assert starts(slow) == {1: 1}
    assert "Unrecoverable error" not in lab.said_by("worker")[before:]


def test_r10_a_redis_that_throws_messages_away_is_warned_of_and_costs_nothing(lab, forge):
    alias = lab.add_server(forge.port)
    client = lab.redis.client
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", used + 2_000_000)
    client.config_set("maxmemory-policy", "allkeys-lru")

    told = lab.until_complaint("broker")
    jobs = [lab.generate(alias, seed=seed) for seed in range(5)]
    for number in range(100):
        client.set(f"filler:{number}", "x" * 50_000)
    lab.kill("manage.py dispatcher")

    assert told["broker"]["state"] == "evicts"
    assert all_done(lab, jobs)
    assert starts(forge) == dict.fromkeys(range(5), 1)
    assert client.info("stats")["evicted_keys"] > 0
    eventually(lambda: "Redis throws messages away" in lab.said(), what="the warning in the log")
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")
    client.flushall()
    lab.until_well()


class Messages:
    """The messages of one queue, caught before a worker takes them."""

    def __init__(self, lab, alias):
        self.redis, self.queue = lab.redis.client, lab.queue_of(alias)

    def push(self, raw):
        self.redis.lpush(self.queue, raw)

    def are_gone(self):
        return self.redis.llen(self.queue) == 0


@pytest.fixture
def caught(lab, slow):
    """A message of a job: (alias, its job, its raw text)."""
    worker = lab.one("celery", "--servers")
    alias = lab.add_server(slow.port)
    worker.suspend()
    job_id = lab.generate(alias, seed=1)
    queue = lab.queue_of(alias)
    raw = eventually(lambda: lab.redis.client.lindex(queue, 0), what="the message")
    worker.resume()
    return alias, job_id, raw


def test_r11_messages_of_finished_jobs_do_nothing(lab, caught, slow):
    alias, job_id, raw = caught
    assert all_done(lab, [job_id])

    messages = Messages(lab, alias)
    messages.push(raw)

    eventually(messages.are_gone, what="the stale message taken")
    assert all_done(lab, [lab.generate(alias, seed=2)])
    assert starts(slow) == {1: 1, 2: 1}


def test_r12_a_message_that_comes_ten_times_is_one_drawing(lab, caught, slow):
    alias, job_id, raw = caught
    messages = Messages(lab, alias)

    for _ in range(10):
        messages.push(raw)

    assert all_done(lab, [job_id])
    eventually(messages.are_gone, what="the messages taken")
    assert starts(slow) == {1: 1}


def test_r13_messages_that_make_no_sense_leave_the_worker_alive(lab, caught, slow):
    alias, job_id, raw = caught
    worker = lab.one("celery", "--servers")
    messages = Messages(lab, alias)
    unknown = raw.replace(job_id.encode(), str(uuid.uuid4()).encode())
    envelope = json.loads(raw)

    messages.push(unknown)
    messages.push(json.dumps({**envelope, "body": "bm8ganNvbg=="}))
    messages.push(json.dumps({**envelope, "headers": {**envelope["headers"], "task": "os.system"}}))

    eventually(messages.are_gone, what="the messages taken")
    assert all_done(lab, [job_id, lab.generate(alias, seed=2)])
    assert starts(slow) == {1: 1, 2: 1}
    assert lab.one("celery", "--servers") == worker
