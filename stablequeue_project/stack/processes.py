"""The processes of the stack: the one table of what runs, in which order it starts and stops."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from stablequeue_project.stack import launch
from stablequeue_project.stack.ports import Address
from stablequeue_project.stack.privileges import User

CHECKOUT = Path(__file__).resolve().parent.parent.parent
SETTINGS_UNUSABLE = os.EX_CONFIG
"""Exit code of a gate: trying again is useless, since a setting is wrong."""


@dataclass(frozen=True)
class Process:
    """One program to keep running."""

    name: str
    command: tuple[str, ...]
    order: int
    """Started in rising order, stopped in falling order; equal ones together."""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: int = 10
    """How long it may take to stop before it is killed."""
    is_gate: bool = False
    """Runs once to success; what has a higher order starts only then."""
    folder: Path = CHECKOUT
    user: User | None = None
    capability: int | None = None

    def command_line(self) -> list[str]:
        """The full command: it ends with the process that calls this."""
        options = ["--folder", str(self.folder), "--parent", str(os.getpid())]
        options += ["--end-with", str(int(self.stop_signal))]
        if self.user is not None:
            options += ["--user", f"{self.user.uid}:{self.user.gid}"]
        if self.capability is not None:
            options += ["--capability", str(self.capability)]
        return [sys.executable, "-I", "-S", launch.__file__, *options, "--", *self.command]


POSTGRES_ORDER = 10
REDIS_ORDER = 20
WORKER_STOP_SECONDS = 45


def table(address: Address) -> tuple[Process, ...]:
    """Return what runs beside the engines. docker-compose.yml names the same commands."""
    python = sys.executable
    gunicorn = (python, "-m", "gunicorn", "stablequeue_project.wsgi:application")
    serving = ("--config", "python:stablequeue_project.gunicorn_config", "--bind", address.bind)
    celery = (python, "-m", "celery", "-A", "stablequeue_project", "--quiet", "worker")
    pool = ("--pool", "threads", "--loglevel", "INFO", "--without-mingle", "--without-gossip")
    worker = ("--servers", "--concurrency", "64", "--hostname", "worker@%h")
    chores = ("--queues", "chores,scans", "--concurrency", "8", "--hostname", "chores@%h")
    migrate = (python, "-m", "stablequeue_project.stack.migrate")
    return (
        Process("migrate", migrate, order=30, is_gate=True),
        # It ends by itself, and at once if it draws nothing: settings.LEAVE_WITHIN.
        Process("worker", (*celery, *worker, *pool), order=40, stop_seconds=WORKER_STOP_SECONDS),
        Process("chores", (*celery, *chores, *pool), order=40),
        Process("dispatcher", (python, "manage.py", "dispatcher"), order=50, stop_seconds=5),
        Process("web", (*gunicorn, *serving), order=60, stop_seconds=8),
    )
