"""Starting, breaking and asking a whole StableQueue, as its owner and its clients would."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import redis
import requests

from stablequeue_project.stack import ports
from stablequeue_project.stack.redis import program as redis_program

ROOT = Path(__file__).resolve().parent.parent.parent
TIME_SCALE = 0.1
_COMMAND = [sys.executable, "-m", "stablequeue_project.stack"]


def eventually(condition, *, seconds=30.0, what="the condition"):
    """Poll until `condition()` is true and return its value; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come true within {seconds} s")


def is_idle(forge):
    """Whether a simulated Forge draws nothing right now."""
    return forge.journal.count(lambda generation: generation.outcome == "running") == 0


class OwnRedis:
    """A Redis that a story can stop and start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = ports.free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.client = redis.Redis.from_url(self.url)

    def __enter__(self) -> OwnRedis:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.client.close()

    def start(self) -> None:
        command = [redis_program(), "--port", str(self._port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers, what="Redis")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    @property
    def port(self) -> int:
        return self._port

    def _answers(self) -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(self.client.ping())
        return False


class Stack:
    """One `./stablequeue up`, and a client of its API with a key of its own."""

    def __init__(
        self, data: Path, *, redis_url: str, checkout: Path = ROOT, **environment: str
    ) -> None:
        """`checkout` is the code that runs: this one, or an earlier one."""
        self.data = data
        self._checkout = checkout
        self.port = ports.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._redis_url = redis_url
        self._environment = environment
        self.api = requests.Session()
        self._aliases: list[str] = []
        self.failpoints = data.parent / "failpoints"
        self.failpoints.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Stack:
        self.start()
        made = requests.post(f"{self.url}/api/v1/api-keys", json={"name": "flows"}, timeout=10)
        key = made.json()["api_key"]
        self.api.headers.update({"X-API-Key": key["key"], "X-API-Secret": key["secret"]})
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.api.close()

    def start(self) -> None:
        self.begin()
        self.wait_until_ready()

    def begin(self) -> None:
        """Start it, and do not wait for it."""
        options = ["--port", str(self.port), "--data", str(self.data)]
        self.data.mkdir(parents=True, exist_ok=True)
        with (self.data.parent / "up.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_COMMAND, "up", *options],
                cwd=self._checkout,
                env=self.environment(),
                stdout=log,
                stderr=log,
            )

    def word(self, word: str, *arguments: str, **streams: Any) -> subprocess.CompletedProcess[str]:
        """Run `./stablequeue <word>` on the same data, and wait for its end."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, **streams}
        return subprocess.run(
            [*_COMMAND, word, *arguments, "--data", str(self.data)],
            cwd=self._checkout,
            env=self.environment(),
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            **options,
        )

    def environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in os.environ if name != "DATABASE_URL"}
        environment |= {"REDIS_URL": self._redis_url, "STABLEQUEUE_TIME_SCALE": str(TIME_SCALE)}
        environment["STABLEQUEUE_RATE_LIMIT"] = "off"
        environment["PYTHONPATH"] = str(self._checkout)
        environment |= {"STABLEQUEUE_TEST": "true", "STABLEQUEUE_FAILPOINT": f"@{self.failpoints}"}
        environment |= self._environment
        environment.pop("STABLEQUEUE_DATA", None)
        return environment

    def stop(self) -> int:
        """End it as Ctrl-C would, if it runs; returns its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)

    def wait_until_ready(self) -> None:
        eventually(self._is_ready, seconds=90, what=f"GET {self.url}/status")

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, (self.data.parent / "up.log").read_text()[-4000:]
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/status", timeout=5).status_code == 200
        return False

    # --- breaking it -----------------------------------------------------------------

    def kill(self, word: str) -> None:
        """kill -9 every process of ours whose command line has `word`, but not its keeper."""
        victims = [child for child in self._children() if word in " ".join(child.cmdline())]
        assert victims, f"no process with {word!r} to kill"
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()

    def tell_to_stop(self, word: str) -> list[psutil.Process]:
        """Send TERM to the processes of ours whose command line has `word`; returns them."""
        told = [child for child in self._children() if word in " ".join(child.cmdline())]
        assert told, f"no process with {word!r} to stop"
        for process in told:
            process.terminate()
        return told

    def log(self, name: str) -> str:
        """Return what the process `name` has said so far."""
        return (self.data / "logs" / f"{name}.log").read_text()

    def fail_at(self, failpoint: str, action: str) -> None:
        """Let the next process that comes by a failpoint do `action`, once."""
        draft = self.failpoints / f".{failpoint}"
        draft.write_text(action)
        draft.rename(self.failpoints / failpoint)

    def is_armed(self, failpoint: str) -> bool:
        """Whether nobody came by that failpoint since `fail_at`."""
        return (self.failpoints / failpoint).exists()

    def worker(self) -> psutil.Process:
        """The worker of the server queues; frozen or killed, it is restarted by its keeper."""
        return self._worker_among(self._children())

    @contextlib.contextmanager
    def frozen_worker(self) -> Iterator[None]:
        """Freeze the worker, and let another one run in its place meanwhile."""
        frozen = self.worker()
        command, environment = frozen.cmdline(), frozen.environ()
        command[command.index("--hostname") + 1] = "spare@%h"
        frozen.suspend()
        spare = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            yield
        finally:
            frozen.resume()
            spare.kill()
            spare.wait()

    @staticmethod
    def _worker_among(processes: list[psutil.Process]) -> psutil.Process:
        words = ((process, process.cmdline()) for process in processes)
        return next(process for process, line in words if "--servers" in line and "celery" in line)

    def kill_everything(self) -> None:
        """As a power cut would: nobody gets to say goodbye."""
        victims = [*self._children(), psutil.Process(self._process.pid)]
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        psutil.wait_procs(victims, timeout=10)
        self._process.wait()

    def _children(self) -> list[psutil.Process]:
        return psutil.Process(self._process.pid).children(recursive=True)

    def log_lines(self) -> list[str]:
        """The lines that all its processes have written so far."""
        return (self.data.parent / "up.log").read_text().splitlines()

    # --- using it --------------------------------------------------------------------

    def add_server(self, port: int, **more: object) -> str:
        """Add a Forge on this machine; returns its alias."""
        alias = f"Forge-{uuid.uuid4().hex[:6]}"
        body = {"alias": alias, "host": "127.0.0.1", "port": port, **more}
        answer = self.api.post(f"{self.url}/api/v1/servers", json=body, timeout=10)
        assert answer.status_code == 201, answer.text
        self._aliases.append(alias)
        return alias

    def server(self, alias: str) -> dict[str, Any]:
        answer = self.api.get(f"{self.url}/api/v1/servers/{alias}", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def steer(self, alias: str, verb: str) -> dict[str, Any]:
        """Pause, drain or resume a server."""
        answer = self.api.post(f"{self.url}/api/v1/servers/{alias}/{verb}", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def change_server(self, alias: str, /, **change: object) -> None:
        answer = self.api.put(f"{self.url}/api/v1/servers/{alias}", json=change, timeout=10)
        assert answer.status_code == 200, answer.text

    def delete_server(self, alias: str) -> None:
        answer = self.api.delete(f"{self.url}/api/v1/servers/{alias}", timeout=10)
        assert answer.status_code == 200, answer.text

    def remove_servers(self) -> None:
        """Remove the servers that were added since the last time."""
        while self._aliases:
            self.api.delete(f"{self.url}/api/v1/servers/{self._aliases.pop()}", timeout=10)

    def generate(self, alias: str, **parameters: object) -> str:
        """Submit a job; returns its id."""
        answer = self.try_to_generate(alias, **parameters)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["stablequeue_job_id"])

    def try_to_generate(self, alias: str, **parameters: object) -> requests.Response:
        parameters = {"positive_prompt": "a cat", "steps": 20, **parameters}
        body = {"target_server_alias": alias, "generation_params": parameters}
        return self.api.post(f"{self.url}/api/v1/generate", json=body, timeout=10)

    def try_to_see(self, job_id: str) -> requests.Response:
        return self.api.get(f"{self.url}/api/v1/queue/jobs/{job_id}/status", timeout=10)

    def generate_many(self, alias: str, count: int) -> str:
        """Submit a batch of small pictures; returns its id."""
        small = {"positive_prompt": "a cat", "steps": 1, "width": 64, "height": 64}
        body = {"target_server_alias": alias, "generation_params": small, "bulk_quantity": count}
        answer = self.api.post(f"{self.url}/api/v1/generate/bulk", json=body, timeout=30)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["batch_id"])

    def batch(self, batch_id: str) -> dict[str, Any]:
        answer = self.api.get(f"{self.url}/api/v1/batches/{batch_id}", timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def jobs(self, **query: str | int) -> list[dict[str, Any]]:
        answer = self.api.get(f"{self.url}/api/v1/queue/jobs", params=query, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()["jobs"]

    def job(self, job_id: str) -> dict[str, Any]:
        answer = self.try_to_see(job_id)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def cancel(self, job_id: str) -> requests.Response:
        return self.api.post(f"{self.url}/api/v1/queue/jobs/{job_id}/cancel", timeout=10)

    def wait_for(self, job_id: str, *statuses: str, seconds: float = 40) -> dict[str, Any]:
        """Poll a job until it has one of `statuses`."""
        wanted = statuses or ("completed", "failed", "cancelled")

        def reached():
            job = self.job(job_id)
            return job if job["status"] in wanted else None

        return eventually(reached, seconds=seconds, what=f"job {job_id[:8]} in {wanted}")

    def picture(self, name: str) -> bytes:
        answer = self.api.get(f"{self.url}/outputs/{name}", timeout=10)
        assert answer.status_code == 200
        return answer.content
