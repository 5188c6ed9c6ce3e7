"""Disks that fill, vanish and come back; workers that die while they save."""

import contextlib
import os
import subprocess

import psutil  # type: ignore[import-untyped]
import pytest
from celery import Celery

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import OwnRedis, Stack, eventually


@pytest.fixture
def slow():
    """Two Forges that draw for a second."""
    with ForgeSimulator(seconds=1) as first, ForgeSimulator(seconds=1) as second:
        yield first, second


def outputs(stack):
    return stack.data / "outputs"


def drawing(stack, job_id):
    eventually(lambda: stack.job(job_id)["phase"] == "generating", what="drawing")


def waits(stack, job_id, phase, words):
    """Wait until a job is in that phase for that reason."""

    def so():
        job = stack.job(job_id)
        return job["phase"] == phase and words in job["reason"]

    eventually(so, what=f"{phase}: {words}")


def status(stack):
    return stack.api.get(f"{stack.url}/status", timeout=10)


def is_never_admitted(stack, job_id):
    """Whether a job still has had no turn after the dispatcher has looked around twice."""

    def seen_at():
        answer = stack.api.get(f"{stack.url}/api/v1/settings/storage", timeout=10)
        return answer.json()["disks"][0]["seen_at"]

    for _ in range(2):
        before = seen_at()
        eventually(lambda before=before: seen_at() != before, what="a look at the disks")
    return stack.job(job_id)["forge_session_hash"] is None


def sweep(redis_url):
    """Have one part of the sweep done now, by the chores."""
    with Celery(broker=redis_url) as app:
        app.send_task("jobs.sweep", queue="chores", ignore_result=True)


def pictures_of(stack, job_id):
    return {path.name for path in outputs(stack).glob(f"{job_id[:8]}_*.png")}


@pytest.mark.parametrize("failpoint", ["before_complete", "after_publish"])
def test_a_worker_that_dies_while_it_saves_leaves_one_result_and_nothing_else(
    stack, own_redis, forge, failpoint
):
    stack.fail_at(failpoint, "kill9")

    job = stack.wait_for(stack.generate(stack.add_server(forge.port)), "completed")

    job_id, [name] = job["stablequeue_job_id"], job["result_details"]["images"]
    for path in outputs(stack).glob(f"{job_id[:8]}_*.png"):
        os.utime(path, (0, 0))
    sweep(own_redis.url)
    eventually(lambda: pictures_of(stack, job_id) == {name}, what="one picture")
    eventually(
        lambda: not list((outputs(stack) / ".staging").glob(f"{job_id}-*")), what="no staging"
    )
    assert stack.picture(name).endswith(b"IEND\xaeB`\x82")


def test_a_worker_that_cannot_write_keeps_the_pictures_and_holds_the_queue(stack, slow):
    first, second = slow
    kept = stack.generate(stack.add_server(first.port))
    drawing(stack, kept)
    worker = stack.worker()
    _, most = worker.rlimit(psutil.RLIMIT_FSIZE)

    worker.rlimit(psutil.RLIMIT_FSIZE, (1, most))
    waits(stack, kept, "saving", "is full")
    eventually(lambda: "No job is started" in status(stack).text, what="the pause")
    held = stack.generate(stack.add_server(second.port))
    waits(stack, held, "paused", "is full")
    assert is_never_admitted(stack, held)

    worker.rlimit(psutil.RLIMIT_FSIZE, (most, most))
    jobs = [stack.wait_for(job_id, "completed") for job_id in (kept, held)]
    assert [job["retry_count"] for job in jobs] == [0, 0]
    assert [len(forge.journal.generations) for forge in slow] == [1, 1]
    eventually(lambda: "No job is started" not in status(stack).text, what="the end of it")


def test_without_its_folder_nothing_is_sent_and_its_return_is_noticed(stack, forge):
    alias = stack.add_server(forge.port)
    stack.wait_for(stack.generate(alias), "completed")
    elsewhere = outputs(stack).rename(stack.data / "elsewhere")

    try:
        job_id = stack.generate(alias)
        waits(stack, job_id, "paused", "Mount its disk")
        assert len(forge.journal.generations) == 1
        assert not outputs(stack).exists()
    finally:
        elsewhere.rename(outputs(stack))

    job = stack.wait_for(job_id, "completed")
    assert job["retry_count"] == 0


def test_small_versions_come_soon_and_go_with_the_job(stack, forge):
    job_id = stack.generate(stack.add_server(forge.port), width=512, height=512)
    [name] = stack.wait_for(job_id, "completed")["result_details"]["images"]

    def small():
        answer = stack.api.get(f"{stack.url}/outputs/{name}?size=small", timeout=10)
        return answer.headers["Content-Type"] == "image/webp"

    eventually(small, what="a thumbnail")
    stack.api.delete(f"{stack.url}/api/v1/queue/jobs/{job_id}", timeout=10)

    assert not [path for path in outputs(stack).rglob("*") if name in path.name]


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 8 MB for the pictures alone; only where this may be mounted."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_costs_time_and_no_picture(tmp_path, small_disk, monkeypatch, slow):
    monkeypatch.setenv("STABLEQUEUE_OUTPUTS", str(small_disk))
    monkeypatch.setenv("STABLEQUEUE_MIN_FREE", "1MiB")
    with OwnRedis(tmp_path) as redis, Stack(tmp_path / "data", redis_url=redis.url) as stack:
        first, second = slow
        kept = stack.generate(stack.add_server(first.port), width=256, height=256)
        drawing(stack, kept)

        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(b"\0" * 4096)
        waits(stack, kept, "saving", "The pictures are drawn and wait to be saved")
        alias = stack.add_server(second.port)

        # Room for the picture, but less than is to be free.
        os.truncate(filler, filler.stat().st_size - 600_000)
        stack.wait_for(kept, "completed")
        held = stack.generate(alias)
        waits(stack, held, "paused", "has only")
        assert is_never_admitted(stack, held)

        filler.unlink()
        jobs = [stack.wait_for(job_id, "completed") for job_id in (kept, held)]
        assert [job["retry_count"] for job in jobs] == [0, 0]
        assert [len(forge.journal.generations) for forge in slow] == [1, 1]
