"""The StableQueue that is measured: real processes and engines, in a folder that is thrown away."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg

from bench.api import Api
from bench.clock import Clock
from bench.errors import BenchError
from bench.forge import Forge
from stablequeue_project.stack import environment, ports
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.ports import Address
from stablequeue_project.stack.postgres import Postgres
from stablequeue_project.stack.processes import CHECKOUT, Process
from stablequeue_project.stack.readiness import READY_SECONDS, wait_until_ready
from stablequeue_project.stack.redis import Redis

_BARE = ("bench.bare.wsgi:application", "--config", "python:stablequeue_project.gunicorn_config")


class Stack:
    """One running StableQueue, a client of it, and the time that is left for measuring."""

    def __init__(
        self, folder: DataFolder, models: Path, api: Api, clock: Clock, children: Children
    ) -> None:
        self.api = api
        self.clock = clock
        self.models = models
        """Its folder of checkpoints; empty at first."""
        self._folder = folder
        self._children = children

    def add_forges(self, *aliases: str, seconds: float) -> list[Forge]:
        """Start simulated Forges that draw in `seconds`; return once they are seen to be well."""
        forges = [Forge(alias, port=ports.free_port()) for alias in aliases]
        for forge in forges:
            self._children.start(forge.process(seconds))
        for forge in forges:
            self.clock.wait_until(lambda: self._answers(forge), f"{forge.alias} to listen")  # noqa: B023
            self.add_server(forge.alias, forge.port)
        for forge in forges:
            self.clock.wait_until(
                lambda: self.api.health(forge.alias) == "online",  # noqa: B023
                f"{forge.alias} online",
            )
        return forges

    def add_server(self, alias: str, port: int) -> None:
        """Add a server, however it may be."""
        self.api.call(
            "POST", "/api/v1/servers", {"alias": alias, "host": ports.LOOPBACK, "port": port}
        )

    def wait_until_away(self, alias: str) -> None:
        """Return once a server that is switched off was noticed to be so."""
        self.clock.wait_until(
            lambda: self.api.health(alias) not in ("online", "unknown"), f"{alias} away"
        )

    def start_bare_view(self) -> Api:
        """Serve the bare view beside the product, on the same database."""
        address = Address(ports.LOOPBACK, ports.free_port())
        gunicorn = (sys.executable, "-m", "gunicorn", *_BARE, "--bind", address.bind)
        self._children.start(Process("bare", gunicorn, order=0))
        reason = wait_until_ready(address, threading.Event(), READY_SECONDS)
        self._children.require_alive()
        if reason:
            raise BenchError(f"The bare view did not start: {reason}")
        return Api(address.host, address.port)

    @contextlib.contextmanager
    def database(self) -> Iterator[psycopg.Connection]:
        """Open the database itself, to put things there that no client could."""
        with psycopg.connect(Postgres(self._folder).url(), autocommit=True) as connection:
            yield connection

    def _answers(self, forge: Forge) -> bool:
        self._children.require_alive()
        return not ports.is_free(forge.port)


class Children:
    """Processes started from here, which end with this one whatever happens."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: list[tuple[Process, subprocess.Popen[bytes]]] = []

    def start(self, process: Process) -> None:
        with (self._logs / f"{process.name}.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603
                process.command_line(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own, so that Ctrl-C reaches us alone and we end all in order.
                start_new_session=True,
            )
        self._started.append((process, child))

    def require_alive(self) -> None:
        """Raise BenchError, with its last words, if one has ended by itself."""
        for process, child in self._started:
            if child.poll() is not None:
                said = (self._logs / f"{process.name}.log").read_text(errors="replace")
                raise BenchError(f"{process.name} ended by itself: {said[-1000:]}")

    def stop(self) -> None:
        """End all, the last one first."""
        for process, child in reversed(self._started):
            child.send_signal(process.stop_signal)
            try:
                child.wait(process.stop_seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def throw_away_stack(clock: Clock) -> Iterator[Stack]:
    """Run a StableQueue as a real installation has it, while the block lasts.

    Its folder is made beside the code: on a RAM disk, where temporary folders often lie,
    writing to disk would cost nothing.
    """
    path = Path(tempfile.mkdtemp(prefix="data-bench-", dir=CHECKOUT))
    children = Children(path)
    try:
        folder = environment.of_its_own(path / "data")
        models = path / "models"
        models.mkdir()
        os.environ["STABLEQUEUE_CHECKPOINT_DIRS"] = str(models)
        address = Address(ports.LOOPBACK, ports.free_port())
        up = (sys.executable, "-m", "stablequeue_project.stack", "up")
        options = ("--port", str(address.port), "--data", str(folder.path))
        children.start(Process("stack", (*up, *options), order=0, stop_seconds=40))
        reason = wait_until_ready(address, threading.Event(), READY_SECONDS)
        children.require_alive()
        if reason:
            raise BenchError(f"StableQueue did not start: {reason}")
        os.environ |= {"DATABASE_URL": Postgres(folder).url(), "REDIS_URL": Redis(folder).url()}
        api = Api(address.host, address.port)
        with contextlib.closing(api):
            api.sign_in()
            yield Stack(folder, models, api, clock, children)
    finally:
        children.stop()
        shutil.rmtree(path, ignore_errors=True)
