"""Processes are killed, frozen, doubled and starved in the middle of their work."""

import contextlib
import resource
import uuid

import pytest
import requests

from servers.simulator.server import ForgeSimulator
from tests.flows.engines.lab import DISPATCHER, WORKER, starts
from tests.flows.proxy import TcpProxy
from tests.flows.stack import eventually


@pytest.fixture
def slow():
    with ForgeSimulator(seconds=2) as simulator:
        yield simulator


def drawing(lab, job_id):
    eventually(lambda: lab.job(job_id)["phase"] == "generating", what="drawing")


def done(lab, jobs):
    return {lab.wait_for(job_id, seconds=60)["status"] for job_id in jobs} == {"completed"}


def jobs_of(lab, alias):
    answer = lab.postgres.ask(
        "SELECT j.id::text FROM jobs_job j JOIN servers_server s ON s.id = j.server_id"
        " WHERE s.alias = %s",
        alias,
    )
    return [job_id for (job_id,) in answer]


class TestWeb:
    def test_r1_a_job_whose_answer_never_left_is_drawn(self, lab, forge):
        alias = lab.add_server(forge.port)
        lab.fail_at("after_commit", "kill9")

        with pytest.raises(requests.ConnectionError):
            lab.try_to_generate(alias, seed=1)

        [job_id] = jobs_of(lab, alias)
        assert done(lab, [job_id])
        assert starts(forge) == {1: 1}

    def test_r2_a_job_that_was_not_committed_does_not_exist(self, lab, forge):
        alias = lab.add_server(forge.port)
        lab.fail_at("before_commit", "kill9")

        with pytest.raises(requests.ConnectionError):
            lab.try_to_generate(alias, seed=1)

        assert jobs_of(lab, alias) == []
        lab.wait_until_ready()
        assert done(lab, [lab.generate(alias, seed=2)])
        assert starts(forge) == {2: 1}

    def test_r3_a_client_that_asks_again_under_the_same_key_gets_the_same_job(self, lab, forge):
        alias = lab.add_server(forge.port)
        body = {
            "target_server_alias": alias,
            "generation_params": {"positive_prompt": "a cat", "seed": 1},
        }
        named = {"Idempotency-Key": str(uuid.uuid4())}

        with TcpProxy(lab.port) as line:
            line.swallow_answers()
            with pytest.raises(requests.ReadTimeout):
                lab.api.post(
                    f"http://127.0.0.1:{line.port}/api/v1/generate",
                    json=body,
                    headers=named,
                    timeout=1,
                )
        eventually(lambda: jobs_of(lab, alias), what="the job")
        again = lab.api.post(f"{lab.url}/api/v1/generate", json=body, headers=named, timeout=10)

        assert [again.json()["stablequeue_job_id"]] == jobs_of(lab, alias)
        assert done(lab, jobs_of(lab, alias))
        assert starts(forge) == {1: 1}


class TestDispatchers:
    def test_r27_two_workers_and_two_dispatchers_do_nothing_twice(self, lab):
        with (
            ForgeSimulator(seconds=0.1) as one,
            ForgeSimulator(seconds=0.1) as other,
            lab.another(WORKER),
            lab.another(DISPATCHER),
        ):
            eventually(lambda: len(lab.health()["workers"]) == 2, what="the second worker")
            aliases = [lab.add_server(forge.port) for forge in (one, other)]

            jobs = [lab.generate(aliases[seed % 2], seed=seed) for seed in range(20)]

            assert done(lab, jobs)
            assert starts(one, other) == dict.fromkeys(range(20), 1)
            assert {one.journal.max_parallel, other.journal.max_parallel} == {1}

    def test_a_standby_is_shown_and_leads_when_the_leader_is_killed(self, lab, forge):
        alias = lab.add_server(forge.port)
        with lab.another(DISPATCHER) as second:
            eventually(lambda: stands_by(lab, second), what="the second one stands by")

            lab.one("dispatcher").kill()

            eventually(lambda: leads(lab, second), what="the second one leads")
            assert done(lab, [lab.generate(alias, seed=1)])

    def test_a_standby_takes_over_from_a_frozen_leader_which_writes_nothing_when_thawed(
        self, lab, forge
    ):
        alias = lab.add_server(forge.port)
        leader = leading(lab)
        with lab.another(DISPATCHER) as second:
            eventually(lambda: stands_by(lab, second), what="the second one stands by")

            with frozen(leader):
                eventually(lambda: leads(lab, second), what="the second one leads")
                jobs = [lab.generate(alias, seed=seed) for seed in range(3)]
                assert done(lab, jobs[:1])

            assert done(lab, jobs)
            eventually(lambda: stands_by(lab, leader), what="the thawed one stands by")
            assert leads(lab, second)
        assert starts(forge) == {0: 1, 1: 1, 2: 1}
        assert "shows no sign of life" in lab.said()


@contextlib.contextmanager
def frozen(process):
    process.suspend()
    try:
        yield
    finally:
        process.resume()


def stands_by(lab, process):
    return any(name.endswith(f":{process.pid}") for name in lab.health()["dispatcher"]["standbys"])


def leads(lab, process):
    return (lab.health()["dispatcher"]["leader"] or "").endswith(f":{process.pid}")


def leading(lab):
    lab.until_well()
    return lab.one("manage.py dispatcher")


def test_a_deaf_worker_ends_itself_and_is_started_again(lab, forge):
    """Celery is told to take nothing from the queue any more: connected, alive, deaf."""
    alias = lab.add_server(forge.port)
    deaf = lab.one("celery", "--queues")

    lab.control("cancel_consumer", "chores")

    told = lab.until_complaint("chores")
    assert told["chores"] == [{"name": f"chores@{lab.host}:{deaf.pid}", "consumes": False}]
    eventually(lambda: not deaf.is_running(), what="the end of the deaf worker")
    lab.until_well()
    assert done(lab, [lab.generate(alias, seed=1)])


def test_r60_a_laptop_that_sleeps_goes_on_where_it_was(lab, slow):
    job_id = lab.generate(lab.add_server(slow.port), seed=1)
    drawing(lab, job_id)

    lab.freeze_all()
    eventually(
        lambda: not any(e.outcome == "running" for e in slow.journal.generations),
        what="the end of the drawing",
    )
    lab.thaw_all()

    assert done(lab, [job_id])
    assert starts(slow) == {1: 1}
    assert lab.job(job_id)["retry_count"] == 0


def test_r66_a_worker_without_file_descriptors_loses_no_job(lab, forge):
    alias = lab.add_server(forge.port)
    worker = lab.one("celery", "--servers")
    limits = worker.rlimit(resource.RLIMIT_NOFILE)
    worker.rlimit(resource.RLIMIT_NOFILE, (worker.num_fds(), limits[1]))

    jobs = [lab.generate(alias, seed=seed) for seed in range(3)]
    eventually(lambda: "Too many open files" in lab.said(), what="a word about it in the log")
    worker.rlimit(resource.RLIMIT_NOFILE, limits)

    assert done(lab, jobs)
    assert starts(forge) == {0: 1, 1: 1, 2: 1}
