"""A StableQueue on engines that can be broken, behind a network that can be broken."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil  # type: ignore[import-untyped]

from tests.flows.engines.own_postgres import OwnPostgres, Volume
from tests.flows.proxy import TcpProxy
from tests.flows.stack import ROOT, OwnRedis, Stack, eventually

_CELERY = ["-m", "celery", "-A", "stablequeue_project", "--quiet", "worker"]
_POOL = ["--pool", "threads", "--loglevel", "INFO", "--without-mingle", "--without-gossip"]
DISPATCHER = ["manage.py", "dispatcher"]
WORKER = [*_CELERY, "--servers", "--concurrency", "64", "--hostname", "second@%h", *_POOL]


class Lab(Stack):
    """A stack, the engines it uses, and the network between them.

    `redis` is the engine itself; the stack reaches it through `network`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        volume: Volume,
        postgres: OwnPostgres,
        redis: OwnRedis,
        network: TcpProxy,
        more: Mapping[str, str],
    ) -> None:
        super().__init__(folder / "data", redis_url=f"redis://127.0.0.1:{network.port}/0")
        self.volume, self.postgres, self.redis, self.network = volume, postgres, redis, network
        self._folder = folder
        self._more = more
        self.host = socket.gethostname()

    def environment(self) -> dict[str, str]:
        return {
            **super().environment(),
            "DATABASE_URL": self.postgres.url,
            **self._more,
        }

    # --- breaking it -----------------------------------------------------------------

    def until_failed_at(self, failpoint: str) -> None:
        """Wait until somebody came by."""
        eventually(lambda: not self.is_armed(failpoint), what=f"{failpoint} reached")

    def kill_all(self) -> None:
        """As a power cut would, engines and all."""
        self.postgres.kill()
        self.redis.stop()
        self.kill_everything()

    def freeze_all(self) -> None:
        """As a laptop's lid does, engines and all. The Forge is another machine."""
        self._everybody = [psutil.Process(self._process.pid), *self._children()]
        for process in self._everybody:
            process.suspend()
        self.postgres.freeze()
        self.redis.freeze()

    def thaw_all(self) -> None:
        self.redis.thaw()
        self.postgres.thaw()
        for process in self._everybody:
            process.resume()

    def control(self, *words: str) -> None:
        """Say something to all Celery workers."""
        command = [sys.executable, "-m", "celery", "-A", "stablequeue_project", "control", *words]
        environment = {**self.environment(), "STABLEQUEUE_DATA": str(self.data)}
        subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60)

    def one(self, *words: str) -> psutil.Process:
        """The process whose command line has all `words`."""
        [found] = [
            child
            for child in self._children()
            if all(word in " ".join(child.cmdline()) for word in words)
        ]
        return found

    @contextlib.contextmanager
    def another(self, command: list[str]) -> Iterator[psutil.Process]:
        """Run one more process of ours while the block lasts."""
        with (self._folder / "more.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**self.environment(), "STABLEQUEUE_DATA": str(self.data)},
                stdout=log,
                stderr=log,
            )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.kill()
            process.wait()

    # --- using it ---------------------------------------------------------------------

    def cancel_batch(self, batch_id: str) -> None:
        answer = self.api.post(f"{self.url}/api/v1/batches/{batch_id}/cancel", timeout=60)
        assert answer.status_code == 200, answer.text

    def waiting(self, alias: str) -> int:
        """How many jobs wait for a server."""
        [(count,)] = self.postgres.ask(
            "SELECT count(*) FROM jobs_job WHERE status = 'pending'"
            " AND server_id = (SELECT id FROM servers_server WHERE alias = %s)",
            alias,
        )
        return int(count)

    # --- asking it -------------------------------------------------------------------

    def health(self) -> dict[str, Any]:
        answer = self.api.get(f"{self.url}/health", timeout=10)
        assert answer.status_code in (200, 503), answer.text
        return answer.json()

    def until_well(self) -> None:
        """Wait until nothing of ours is complained of; a server that is off may be."""

        def is_well():
            found = self.health()
            return {one["part"] for one in found.get("troubles", [{"part": "?"}])} <= {"server"}

        eventually(is_well, what="health")

    def until_complaint(self, part: str) -> dict[str, Any]:
        """Wait until /health complains of a part; returns what it says then."""

        def complaint():
            found = self.health()
            return found if part in {one["part"] for one in found.get("troubles", ())} else None

        return eventually(complaint, what=f"a complaint about {part}")

    def queue_of(self, alias: str) -> str:
        [(name,)] = self.postgres.ask(
            "SELECT queue_name FROM servers_server WHERE alias = %s AND retired_at IS NULL", alias
        )
        return str(name)

    def said(self) -> str:
        """What all processes have logged so far."""
        logs = [*(self.data / "logs").glob("*.log"), self._folder / "more.log"]
        return "\n".join(log.read_text(errors="replace") for log in logs if log.exists())


def starts(*forges) -> Counter[int]:
    """How often each seed was begun to be drawn."""
    return Counter(entry.seed for forge in forges for entry in forge.journal.generations)


@contextlib.contextmanager
def laboratory(
    folder: Path,
    *,
    ours: Mapping[str, str] = MappingProxyType({}),
    postgres_only: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Lab]:
    """A running lab. The mappings are added to the environment of our processes, of Postgres."""
    redis_folder = folder / "redis"
    redis_folder.mkdir()
    with (
        Volume(folder / "engines").mounted(400) as volume,
        OwnPostgres(volume.folder / "data", environment=postgres_only) as postgres,
        OwnRedis(redis_folder) as redis,
        TcpProxy(redis.port) as network,
    ):
        lab = Lab(folder, volume=volume, postgres=postgres, redis=redis, network=network, more=ours)
        with lab:
            yield lab
