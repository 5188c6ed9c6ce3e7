"""What may break on the way, and does not cost a job."""

import time

from celery import Celery

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import OwnRedis, Stack


def test_a_wiped_redis_loses_no_waiting_job(stack, own_redis, forge):
    alias = stack.add_server(forge.port)
    jobs = [stack.generate(alias, seed=seed) for seed in range(20)]

    own_redis.client.flushall()

    assert [stack.wait_for(job_id)["status"] for job_id in jobs] == ["completed"] * 20
    assert sorted(entry.seed for entry in forge.journal.generations) == list(range(20))


def test_a_killed_dispatcher_is_replaced(stack, forge):
    alias = stack.add_server(forge.port)
    jobs = [stack.generate(alias) for _ in range(3)]

    stack.kill("manage.py dispatcher")
    jobs.append(stack.generate(alias))

    assert [stack.wait_for(job_id)["status"] for job_id in jobs] == ["completed"] * 4
    assert len(forge.journal.generations) == 4


def test_without_redis_jobs_are_accepted_at_once_and_run_when_it_is_back(stack, own_redis, forge):
    alias = stack.add_server(forge.port)
    stack.wait_for(stack.generate(alias), "completed")

    own_redis.stop()
    began = time.monotonic()
    jobs = [stack.generate(alias) for _ in range(20)]
    took = time.monotonic() - began
    own_redis.start()

    # A client's own time-out, not a measure of speed: a submit that waited for Redis
    # would take its connection time-outs, two seconds and more each.
    assert took < 20 * 2
    assert [stack.wait_for(job_id)["status"] for job_id in jobs] == ["completed"] * 20
    assert len(forge.journal.generations) == 21


def test_a_failure_of_forge_is_charged_and_tried_again_with_the_same_seed(stack):
    with ForgeSimulator(seconds=0.3) as forge:
        forge.fault("error_500_json", times=1)

        job = stack.wait_for(stack.generate(stack.add_server(forge.port)))

        assert job["status"] == "completed", job
        assert job["retry_count"] == 1
        assert len(job["errors"]) == 1
        assert len({entry.seed for entry in forge.journal.generations}) == 1
        assert forge.journal.max_parallel == 1


def test_everything_killed_at_once_and_started_again_finishes_all_jobs(tmp_path):
    with (
        OwnRedis(tmp_path) as redis,
        ForgeSimulator(seconds=0.5) as forge,
        Stack(tmp_path / "with space" / "data", redis_url=redis.url) as stack,
    ):
        alias = stack.add_server(forge.port)
        jobs = [stack.generate(alias, seed=seed) for seed in range(10)]
        stack.wait_for(jobs[1], "processing", "completed")

        stack.kill_everything()
        redis.client.flushall()
        stack.start()

        ended = [stack.wait_for(job_id) for job_id in jobs]
        assert [job["status"] for job in ended] == ["completed"] * 10
        assert len(forge.journal.generations) <= 11
        assert forge.journal.max_parallel == 1
        names = {path.name for path in (stack.data / "outputs").glob("*.png")}
        assert names == {name for job in ended for name in job["result_details"]["images"]}


def test_r13_messages_that_mean_nothing_are_dropped_and_the_worker_lives(stack, own_redis, forge):
    alias = stack.add_server(forge.port)
    listed = stack.api.get(f"{stack.url}/api/v1/servers/{alias}", timeout=10).json()
    stack.wait_for(stack.generate(alias), "completed")

    worker = stack.worker()
    own_redis.client.lpush(listed["queue_name"], "this is no message", b"\xff\xfe", "{}")
    nobody = "00000000-0000-4000-8000-000000000000"
    with Celery(broker=own_redis.url) as app:
        for task, args in [
            ("jobs.run", (nobody, 1)),
            ("jobs.run", ("no id", "no number")),
            ("jobs.collect", (nobody, 1)),
            ("jobs.recover", (0, 1)),
            ("jobs.explode", ()),
        ]:
            app.send_task(task, args=args, queue=listed["queue_name"], ignore_result=True)

    jobs = [stack.generate(alias) for _ in range(3)]
    assert [stack.wait_for(job_id)["status"] for job_id in jobs] == ["completed"] * 3
    assert len(forge.journal.generations) == 4
    assert own_redis.client.llen(listed["queue_name"]) == 0
    assert stack.worker() == worker
