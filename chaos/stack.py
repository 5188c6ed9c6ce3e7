"""The StableQueue that is broken: real processes and engines in a throw-away folder."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import redis
import requests

from chaos.client import Client, Ledger
from chaos.errors import ChaosError
from chaos.forge import Forge
from chaos.supervisor import Supervisor
from stablequeue_project.stack import engines, environment, ports, processes
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.ports import Address
from stablequeue_project.stack.processes import CHECKOUT, Process
from stablequeue_project.stack.readiness import READY_SECONDS, wait_until_ready

TIME_SCALE = 0.1
_TWINS = ("worker", "dispatcher")
"""What runs twice: one of them may fall and the other has to go on."""
_SPEEDS = {"Ada": 0.3, "Bea": 0.5, "Cleo": 0.7, "Dora": 1.0}
"""The Forges, and the seconds a picture takes there."""


@dataclass(frozen=True)
class Canary:
    """A secret that must not be found anywhere."""

    name: str
    secret: str


class Stack:
    """One running StableQueue with all that a step may break."""

    def __init__(self, path: Path, folder: DataFolder, address: Address) -> None:
        self.path = path
        self.folder = folder
        self.address = address
        self.supervisor = Supervisor(folder.logs)
        self.failpoints = path / "failpoints"
        self.forges = [self._forge(alias, seconds) for alias, seconds in _SPEEDS.items()]
        self.ledger = Ledger()
        self.client = Client(address.url, {}, self.ledger)
        self.canaries = [
            Canary(f"the password of {one.alias}", one.password) for one in self.forges
        ]
        self.frozen: list[tuple[float, float]] = []
        self._engines = engines.embedded(folder, durable=False)
        self._undo: list[tuple[float, Callable[[], object]]] = []

    # --- life ------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything and add the servers. Raises ChaosError if it does not come up."""
        self.failpoints.mkdir()
        engines.prepare(self.folder, self._engines)
        engines.announce(self._engines)
        self.supervisor.add(forge.process() for forge in self.forges)
        self.supervisor.add(engine.process() for engine in self._engines)
        self.supervisor.start()
        self.supervisor.release(*self.supervisor.names())
        engines.wait_for(self._engines, still_starting=lambda: True)
        gate, *others = processes.table(self.address)
        self._pass(gate)
        self.supervisor.add(one for process in others for one in _copies(process))
        self.supervisor.release(*self.supervisor.names())
        if reason := wait_until_ready(self.address, threading.Event(), READY_SECONDS):
            raise ChaosError(f"StableQueue did not start: {reason}")
        self._sign_in()
        for forge in self.forges:
            self.add_server(forge)

    def stop(self) -> None:
        self.supervisor.stop()

    def _pass(self, gate: Process) -> None:
        outcome = subprocess.run(gate.command_line(), capture_output=True, text=True)  # noqa: S603
        if outcome.returncode:
            raise ChaosError(f"{gate.name} failed: {outcome.stderr[-1000:]}")

    def _sign_in(self) -> None:
        made = requests.post(
            f"{self.address.url}/api/v1/api-keys", json={"name": "chaos"}, timeout=10
        ).json()["api_key"]
        self.client = Client(
            self.address.url,
            {"X-API-Key": made["key"], "X-API-Secret": made["secret"]},
            self.ledger,
        )
        self.canaries += [Canary("the secret of the API key", made["secret"])]
        self.canaries += [
            Canary(f"the password of {name}", account.password)
            for name in ("postgres", "redis")
            if (account := self.folder.account(name))
        ]

    def _forge(self, alias: str, seconds: float) -> Forge:
        journal = self.path / f"forge-{alias.lower()}.jsonl"
        name, password = f"user-{alias.lower()}", f"canary-{secrets.token_hex(12)}"
        return Forge(alias, ports.free_port(), seconds, journal, name, password)

    # --- what steps use --------------------------------------------------------------

    def add_server(self, forge: Forge) -> None:
        """Add it, or do nothing if it is there."""
        body = {"alias": forge.alias, "host": ports.LOOPBACK, "port": forge.port}
        login = {"api_username": forge.username, "api_password": forge.password}
        self.client.call("POST", "/api/v1/servers", {**body, **login})

    def names(self, word: str = "") -> list[str]:
        """Return the names of processes that begin with `word`; without one, of all but Forges."""
        names = self.supervisor.names(word)
        return names if word else [name for name in names if not name.startswith("forge-")]

    def later(self, seconds: float, undo: Callable[[], object]) -> None:
        """Do something after a while; at the latest when all gets quiet."""
        self._undo.append((time.monotonic() + seconds, undo))

    @property
    def has_put_off(self) -> bool:
        """Whether something is still to be undone in its time."""
        return bool(self._undo)

    def do_what_is_due(self, *, all_of_it: bool = False) -> None:
        """Carry out what was put off until now."""
        due = [pair for pair in self._undo if all_of_it or pair[0] <= time.monotonic()]
        self._undo = [pair for pair in self._undo if pair not in due]
        for _, undo in sorted(due, key=lambda pair: pair[0]):
            undo()

    @contextlib.contextmanager
    def database(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """Open the database itself. Raises psycopg.Error while it is away."""
        url = os.environ["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            yield connection

    @contextlib.contextmanager
    def redis(self) -> Iterator[redis.Redis]:
        """Open Redis itself. Its calls raise redis.RedisError while it is away."""
        client = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=3)
        try:
            yield client
        finally:
            client.close()

    def outputs(self) -> Path:
        return environment.pictures_folder(self.folder)


def _copies(process: Process) -> list[Process]:
    if process.name not in _TWINS:
        return [process]
    return [
        replace(
            process,
            name=f"{process.name}-{number}",
            command=tuple(
                part.replace(f"{process.name}@", f"{process.name}-{number}@")
                for part in process.command
            ),
        )
        for number in (1, 2)
    ]


@contextlib.contextmanager
def throw_away_stack(keep: Path | None) -> Iterator[Stack]:
    """Run a StableQueue as a real installation has it, while the block lasts.

    Its folder goes away with it, unless a file KEEP_MARK in it says that somebody will want to
    look. With `keep` it is that folder, and stays.
    """
    path = _folder(keep)
    _forget_the_users_installation()
    folder = environment.of_its_own(path / "data")
    os.environ |= {
        "STABLEQUEUE_TIME_SCALE": str(TIME_SCALE),
        "STABLEQUEUE_TEST": "true",
        "STABLEQUEUE_FAILPOINT": f"@{path / 'failpoints'}",
        "STABLEQUEUE_RATE_LIMIT": "off",
        "STABLEQUEUE_ENV_FILE": os.devnull,
    }
    folder.prepare()
    with folder.owned("chaos"):
        stack = Stack(path, folder, Address(ports.LOOPBACK, ports.free_port()))
        try:
            stack.start()
            yield stack
        finally:
            stack.stop()
            if keep is None and not (path / KEEP_MARK).exists():
                shutil.rmtree(path, ignore_errors=True)


KEEP_MARK = "look-here"


def _folder(keep: Path | None) -> Path:
    """Beside the code: on a RAM disk, where temporary folders often lie, disks cost nothing."""
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="data-chaos-", dir=CHECKOUT))
    keep = keep.expanduser().resolve()
    if keep.exists() and any(keep.iterdir()):
        raise ChaosError(f"{keep} is not empty. Name another folder with --keep.")
    keep.mkdir(parents=True, exist_ok=True)
    return keep


def _forget_the_users_installation() -> None:
    for name in [*os.environ]:
        if name in ("DATABASE_URL", "REDIS_URL") or name.startswith("STABLEQUEUE_"):
            del os.environ[name]
