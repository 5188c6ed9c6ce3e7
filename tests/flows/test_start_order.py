"""In whatever order the services come up, they wait for each other and none has to be restarted."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
import requests

from servers.simulator.server import ForgeSimulator
from stablequeue_project.stack import engines, ports, processes
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.ports import Address
from stablequeue_project.stack.postgres import Postgres
from tests.flows.stack import ROOT, TIME_SCALE, OwnRedis, eventually

GATE = [sys.executable, "-m", "stablequeue_project.stack.migrate"]


class Services:
    """The services of docker-compose.yml, each started by itself."""

    def __init__(self, folder, address, database, redis):
        self.url = address.url
        self._folder = folder
        self._database = database
        self._redis = redis
        self._engines = contextlib.ExitStack()
        self._table = {entry.name: list(entry.command) for entry in processes.table(address)}
        self._environment = {
            **os.environ,
            "DATABASE_URL": database.url(),
            "REDIS_URL": redis.url,
            "STABLEQUEUE_DATA": str(folder.path),
            "STABLEQUEUE_TIME_SCALE": str(TIME_SCALE),
            "STABLEQUEUE_RATE_LIMIT": "off",
        }
        self.running = {}

    def start(self, name):
        gate = GATE if name == "web" else [*GATE, "--wait"]
        with (self._folder.logs / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [*gate, *self._table[name]],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def start_postgres(self):
        self._engines.enter_context(engines.running(self._folder, [self._database]))

    def start_redis(self):
        self._engines.enter_context(self._redis)

    def said(self, name):
        return (self._folder.logs / f"{name}.log").read_text()

    def until_said(self, name, text):
        eventually(lambda: text in self.said(name), what=f"{text!r} of {name}: {self.said(name)}")

    def stop(self):
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
        self._engines.close()


@pytest.fixture
def services(tmp_path):
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    database = Postgres(folder, durable=False)
    database.prepare()
    address = Address("127.0.0.1", ports.free_port())
    made = Services(folder, address, database, OwnRedis(tmp_path))
    yield made
    made.stop()


def status(services):
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{services.url}/status", timeout=5).status_code
    return None


def test_workers_before_the_database_the_tables_after_them_and_redis_last(services):
    for name in ("worker", "chores", "dispatcher", "web"):
        services.start(name)
    for name in services.running:
        services.until_said(name, "The database cannot be used yet")

    services.start_postgres()
    eventually(lambda: status(services) == 503, seconds=60, what="an answer of web")
    with ForgeSimulator(seconds=0.2) as forge, requests.Session() as api:
        job = submitted(api, services.url, forge.port)
        services.until_said("dispatcher", "leads")

        services.start_redis()
        eventually(lambda: status(services) == 200, seconds=60, what="a whole StableQueue")
        outcome = eventually(lambda: ended(api, job), seconds=40, what="the job's end")

    assert outcome == "completed"
    assert [process.poll() for process in services.running.values()] == [None] * 4


def submitted(api, url, port):
    """Submit a job with a key of its own; returns the address of its status."""
    made = requests.post(f"{url}/api/v1/api-keys", json={"name": "early bird"}, timeout=10)
    key = made.json()["api_key"]
    api.headers.update({"X-API-Key": key["key"], "X-API-Secret": key["secret"]})
    server = {"alias": "Early", "host": "127.0.0.1", "port": port}
    assert api.post(f"{url}/api/v1/servers", json=server, timeout=10).status_code == 201
    wanted = {"target_server_alias": "Early", "generation_params": {"positive_prompt": "a cat"}}
    sent = api.post(f"{url}/api/v1/generate", json=wanted, timeout=10)
    assert sent.status_code == 202, sent.text
    return f"{url}/api/v1/queue/jobs/{sent.json()['stablequeue_job_id']}/status"


def ended(api, job):
    status = api.get(job, timeout=10).json()["status"]
    return status if status in ("completed", "failed", "cancelled") else None
