"""A backup is made while everything runs, and put back while Redis and Forge go on."""

import uuid

import pytest
from celery import Celery

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import OwnRedis, Stack, eventually, is_idle


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    with OwnRedis(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def forge():
    with ForgeSimulator(seconds=1.5) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def home(tmp_path_factory, redis):
    """A StableQueue of its own, in a place that has spaces in its name."""
    folder = tmp_path_factory.mktemp("my data") / "stable queue"
    with Stack(folder, redis_url=redis.url) as stack:
        yield stack


def pictures_of(stack):
    return {path.name: path.read_bytes() for path in (stack.data / "outputs").glob("*.png")}


def leave_a_message(redis, *, job_id):
    """Put a message into the queue of the only server, as one from before the restore."""
    [binding] = redis.client.keys("_kombu.binding.forge.*")
    queue = binding.decode().removeprefix("_kombu.binding.")
    with Celery(broker=redis.url) as sender:
        sender.send_task("jobs.run", args=[job_id, 1], queue=queue, ignore_result=True)


def test_after_a_restore_of_an_older_backup_all_goes_on_from_there(home, redis, forge, tmp_path):
    alias = home.add_server(forge.port)
    done = home.wait_for(home.generate(alias, seed=1))
    drawing, waiting = home.generate(alias, seed=2), home.generate(alias, seed=3)
    eventually(lambda: home.job(drawing)["phase"] == "generating", what="drawing")

    made = home.word("backup", str(tmp_path / "all.tar"))
    assert made.returncode == 0, made.stderr

    # An hour goes by.
    home.wait_for(waiting)
    later = home.generate(alias, seed=4)
    home.wait_for(later, "processing", "completed")
    assert home.word("restore", str(tmp_path / "all.tar"), "--force").returncode == 1
    home.kill_everything()
    leave_a_message(redis, job_id=str(uuid.uuid4()))
    leave_a_message(redis, job_id=later)

    put_back = home.word("restore", str(tmp_path / "all.tar"), "--force")
    assert put_back.returncode == 0, put_back.stderr
    home.start()

    assert home.job(done["stablequeue_job_id"]) == done
    assert [home.wait_for(job_id)["status"] for job_id in (drawing, waiting)] == ["completed"] * 2
    assert home.try_to_see(later).status_code == 404
    assert set(done["result_details"]["images"]) < pictures_of(home).keys()
    eventually(lambda: is_idle(forge), what="the end of all generations")
    assert {entry.outcome for entry in forge.journal.generations} == {"completed"}
    assert forge.journal.max_parallel == 1


def test_a_backup_made_while_it_is_stopped_comes_back_in_a_new_folder(home, redis, forge, tmp_path):
    job = home.wait_for(home.generate(home.add_server(forge.port)))
    home.stop()

    with (tmp_path / "piped.tar").open("wb") as out:
        made = home.word("backup", "-", stdout=out)
    assert made.returncode == 0, made.stderr
    second = Stack(tmp_path / "another home", redis_url=redis.url)
    with (tmp_path / "piped.tar").open("rb") as archive:
        put_back = second.word("restore", "-", stdin=archive)

    assert put_back.returncode == 0, put_back.stderr
    assert set(job["result_details"]["images"]) <= pictures_of(second).keys()
    assert pictures_of(second).items() <= pictures_of(home).items()
    assert (second.data / "secret.key").read_text() == (home.data / "secret.key").read_text()
