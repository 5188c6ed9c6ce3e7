"""The engines of a data folder: which of them are ours to run, and running them for a while."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from stablequeue_project.stack import orphans
from stablequeue_project.stack.errors import StackError
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.postgres import Postgres
from stablequeue_project.stack.processes import Process
from stablequeue_project.stack.redis import Redis

START_SECONDS = 60


class Engine(Protocol):
    """PostgreSQL or Redis."""

    name: str
    variable: str
    """The environment variable that names it to Django, or names one of the user's own."""

    def prepare(self) -> None:
        """Make its files. The data folder must be owned."""

    def process(self) -> Process:
        """Return what to run, once prepared."""

    def url(self) -> str:
        """Return the value of `variable`, once prepared."""

    def answers(self) -> bool:
        """Can it be used now?"""


def embedded(folder: DataFolder, *, durable: bool = True) -> list[Engine]:
    """Return the engines that are ours to run: those the environment does not name."""
    ours: list[Engine] = [Postgres(folder, durable=durable), Redis(folder, durable=durable)]
    return [engine for engine in ours if not os.environ.get(engine.variable)]


def prepare(folder: DataFolder, engines: Iterable[Engine]) -> None:
    """Make `engines` ready to start. The folder must be owned, so what still runs is stale."""
    orphans.end_all(folder)
    for engine in engines:
        engine.prepare()


def announce(engines: Iterable[Engine]) -> None:
    """Name `engines` to every process started from here."""
    os.environ.update({engine.variable: engine.url() for engine in engines})


def wait_for(engines: Iterable[Engine], still_starting: Callable[[], bool]) -> None:
    """Return when all `engines` answer. Raises StackError when one does not come up."""
    deadline = time.monotonic() + START_SECONDS
    for engine in engines:
        while not engine.answers():
            if time.monotonic() > deadline or not still_starting():
                raise StackError(
                    "ENGINE_NOT_RUNNING", f"The embedded {engine.name} did not come up."
                )
            time.sleep(0.05)


@contextlib.contextmanager
def running(folder: DataFolder, engines: Sequence[Engine]) -> Iterator[None]:
    """Run `engines`, already prepared, while the block lasts. Raises StackError."""
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(_child(folder, engine)) for engine in engines]
        wait_for(engines, lambda: all(child.poll() is None for child in children))
        yield


@contextlib.contextmanager
def _child(folder: DataFolder, engine: Engine) -> Iterator[subprocess.Popen[bytes]]:
    process = engine.process()
    with (folder.logs / f"{engine.name}.log").open("ab") as log:
        # A session of its own, so that Ctrl-C reaches the command and not its database.
        child = subprocess.Popen(  # noqa: S603
            process.command_line(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield child
    finally:
        child.send_signal(process.stop_signal)
        try:
            child.wait(process.stop_seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
