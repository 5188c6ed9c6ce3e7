"""A PostgreSQL that a story can stop, kill, freeze and fill up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import psycopg

from stablequeue_project.stack import engines
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.postgres import Postgres
from tests.flows.stack import eventually

STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class OwnPostgres:
    """It keeps its data in `<folder>/postgres`, and its port and password over restarts."""

    def __init__(self, folder: Path, *, environment: Mapping[str, str]) -> None:
        """`environment` is what its processes find in theirs, beside ours."""
        self._environment = environment
        self.folder = DataFolder(folder)
        self.folder.prepare()
        self._engine = Postgres(self.folder, durable=False)

    def __enter__(self) -> OwnPostgres:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.thaw()
            self.stop("immediate")

    @property
    def url(self) -> str:
        return self._engine.url()

    def start(self) -> None:
        engines.prepare(self.folder, [self._engine])
        process = self._engine.process()
        if self._environment:
            # Only then, since what is preloaded must not see the change of user before.
            words = [f"{name}={value}" for name, value in self._environment.items()]
            process = replace(process, command=("/usr/bin/env", *words, *process.command))
        with (self.folder.logs / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(process.command_line(), stdout=log, stderr=log)
        eventually(self._engine.answers, what="PostgreSQL")

    def stop(self, mode: str) -> None:
        """As `pg_ctl stop -m fast` or `-m immediate` do."""
        self._process.send_signal(STOPS[mode])
        self._process.wait(30)

    def restart(self, mode: str) -> None:
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Let it accept connections and answer nothing."""
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self._all():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.url, autocommit=True)

    def ask(self, question: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask one question over a connection of its own."""
        with self.connect() as connection:
            return connection.execute(question, values).fetchall()

    def _all(self) -> list[psutil.Process]:
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children(recursive=True)]


class Volume:
    """A small disk under a folder, if this process may mount one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_small = False

    @contextlib.contextmanager
    def mounted(self, megabytes: int) -> Iterator[Volume]:
        """Mount it while the block lasts; where that is not allowed it is an ordinary folder."""
        self.folder.mkdir(parents=True)
        options = f"size={megabytes}m,mode=0755"
        mount = ["mount", "-t", "tmpfs", "-o", options, "stablequeue-test", str(self.folder)]
        self.is_small = os.geteuid() == 0 and _succeeds(mount)
        try:
            yield self
        finally:
            if self.is_small:
                _succeeds(["umount", "-l", str(self.folder)])

    @contextlib.contextmanager
    def full(self) -> Iterator[None]:
        """Leave not a byte free while the block lasts."""
        ballast = self.folder / "ballast"
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(65536))
        try:
            yield
        finally:
            ballast.unlink()


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
