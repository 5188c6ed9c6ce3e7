"""Processes that an earlier stack left behind: finding and ending them.

The kernel ends the children of a killed supervisor, but not at once: a database that is
shutting down, or a web process with open requests, may still be there at the next start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from stablequeue_project.stack.errors import StackError
from stablequeue_project.stack.folder import DataFolder

MARK = "STABLEQUEUE_STACK"
"""The environment variable that names the data folder to all children of a supervisor."""

_GRACE_SECONDS = 20
_ENGINE_PROGRAMS = ("postgres", "redis-server", "redis-check-rdb", "valkey-server")


def end_all(folder: DataFolder) -> None:
    """End what still runs on `folder`, which the caller owns. Raises StackError if it stays."""
    deadline = time.monotonic() + _GRACE_SECONDS
    _send(folder, gently=True)
    while find(folder):
        if time.monotonic() > deadline + 5:
            raise StackError(
                "LEFTOVER_PROCESSES",
                f"Processes of an earlier start still use {folder.path} and cannot be ended: "
                f"{', '.join(path.name for path in find(folder))}.",
            )
        if time.monotonic() > deadline:
            _send(folder, gently=False)
        time.sleep(0.05)


def find(folder: DataFolder) -> list[Path]:
    """Return the /proc folders of the processes that belong to an earlier stack."""
    ours = _self_and_ancestors()
    return [
        process
        for process in Path("/proc").glob("[0-9]*")
        if int(process.name) not in ours
        and (_is_marked(process, folder) or _is_engine(process, folder))
    ]


def _send(folder: DataFolder, *, gently: bool) -> None:
    for process in find(folder):
        # SIGINT is PostgreSQL's fast shutdown; its SIGTERM would wait for open sessions.
        polite = signal.SIGINT if _program(process) == "postgres" else signal.SIGTERM
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process.name), polite if gently else signal.SIGKILL)


def _is_marked(process: Path, folder: DataFolder) -> bool:
    try:
        environment = (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{MARK}={folder.path}".encode() in environment


def _is_engine(process: Path, folder: DataFolder) -> bool:
    """Engines overwrite their environment with their title, but work in their own folder."""
    try:
        place = (process / "cwd").readlink()
    except OSError:
        return False
    return place in (folder.postgres, folder.redis) and _program(process) in _ENGINE_PROGRAMS


def _program(process: Path) -> str:
    try:
        return (process / "exe").readlink().name
    except OSError:
        return ""


def _self_and_ancestors() -> set[int]:
    found = {os.getpid()}
    parent = os.getppid()
    while parent > 0 and parent not in found:
        found.add(parent)
        try:
            status = Path(f"/proc/{parent}/stat").read_text()
        except OSError:
            break
        parent = int(status.rpartition(")")[2].split()[1])
    return found
