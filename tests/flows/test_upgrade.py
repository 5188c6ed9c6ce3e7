"""An upgrade with work in flight: first the tables, then the processes, and no job is lost."""

import io
import subprocess
import sys
import tarfile

import pytest

from servers.simulator.server import ForgeSimulator
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.postgres import Postgres
from tests.flows.stack import ROOT, OwnRedis, Stack, eventually
from tests.upgrades import writes


@pytest.fixture
def release_before(tmp_path):
    """The code of the release before, where this clone still knows it."""
    commit = writes.recorded()["commit"]
    made = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True)
    if made.returncode != 0:
        pytest.skip(f"this clone does not hold the release before ({commit[:7]})")
    with tarfile.open(fileobj=io.BytesIO(made.stdout)) as tar:
        tar.extractall(tmp_path / "before", filter="data")
    return tmp_path / "before"


def bring_the_tables_up_to_date(data, environment):
    """What the first process of the new version does, while the old ones are at work."""
    url = Postgres(DataFolder(data)).url()
    subprocess.run(
        [sys.executable, "-m", "stablequeue_project.stack.migrate"],
        cwd=ROOT,
        env={**environment, "DATABASE_URL": url},
        check=True,
        timeout=60,
    )


def test_an_older_worker_goes_on_with_newer_tables_and_hands_over_to_a_newer_one(
    tmp_path, release_before
):
    data = tmp_path / "data"
    with OwnRedis(tmp_path) as redis, ForgeSimulator(seconds=1) as forge:
        with Stack(data, redis_url=redis.url, checkout=release_before) as old:
            alias = old.add_server(forge.port)
            jobs = [old.generate(alias, seed=seed) for seed in range(4)]
            eventually(lambda: old.job(jobs[0])["phase"] == "generating", what="drawing")

            bring_the_tables_up_to_date(data, old.environment())
            jobs += [old.generate(alias, seed=seed) for seed in (4, 5)]
            assert old.wait_for(jobs[1])["status"] == "completed"

            key = old.api.headers
        new = Stack(data, redis_url=redis.url)
        new.api.headers.update(key)
        new.start()
        ended = [new.wait_for(job_id) for job_id in jobs]
        new.stop()
        new.api.close()

    assert [job["status"] for job in ended] == ["completed"] * 6
    assert [entry.seed for entry in forge.journal.generations] == list(range(6))
