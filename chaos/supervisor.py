"""Keeping the processes alive that the steps kill: a small supervisor, in a thread.

The kernel ends a child when the thread that made it ends, so one thread, which lives as long
as the run, starts them all.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from chaos.errors import ChaosError
from stablequeue_project.stack.processes import Process

_LOOK_EVERY = 0.05
_REST = 0.3
"""Seconds between the end of a process and its next start; grows while it ends at once."""
_LONGEST_REST = 3.0
_QUICK_END = 2.0


@dataclass
class Kept:
    """One process that is to run, and the life it has had."""

    process: Process
    wanted: bool = False
    child: subprocess.Popen[bytes] | None = None
    started_at: list[float] = field(default_factory=list)
    """Seconds since the epoch, of every start."""
    rest: float = _REST
    may_start_at: float = 0.0

    @property
    def runs(self) -> bool:
        return self.child is not None and self.child.poll() is None


class Supervisor:
    """Starts what is wanted and not there, again and again, until it is stopped."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._kept: dict[str, Kept] = {}
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor")

    # --- what runs -------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def add(self, processes: Iterable[Process]) -> None:
        """Know `processes`, which start once they are released."""
        with self._lock:
            self._kept |= {process.name: Kept(process) for process in processes}

    def names(self, word: str = "") -> list[str]:
        """Return the names that begin with `word`, in a fixed order."""
        return sorted(name for name in self._kept if name.startswith(word))

    def release(self, *names: str) -> None:
        """Let these run, and start them again whenever they end."""
        with self._lock:
            for name in names:
                kept = self._kept[name]
                kept.wanted, kept.may_start_at, kept.rest = True, 0.0, _REST

    def hold(self, *names: str) -> None:
        """Do not start these again when they end."""
        with self._lock:
            for name in names:
                self._kept[name].wanted = False

    def started_at(self, name: str) -> list[float]:
        return list(self._kept[name].started_at)

    def missing(self) -> list[str]:
        """Return the names of those that should run and do not."""
        with self._lock:
            return [name for name, kept in self._kept.items() if kept.wanted and not kept.runs]

    # --- what happens to it ----------------------------------------------------------

    def send(self, name: str, number: signal.Signals) -> bool:
        """Send a signal to the main process of `name`. False if it does not run."""
        child = self._kept[name].child
        if child is None or child.poll() is not None:
            return False
        child.send_signal(number)
        return True

    def send_all(self, name: str, number: signal.Signals) -> None:
        """Send a signal to `name` and to everything it has started."""
        for member in self._family(name):
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(number)

    def children(self, name: str) -> list[int]:
        """Return the ids of the processes that `name` has started."""
        return [member.pid for member in self._family(name)[1:]]

    def wait_until_ended(self, *names: str, seconds: float = 20) -> None:
        """Return once none of these run. Raises ChaosError after `seconds`."""
        deadline = time.monotonic() + seconds
        while alive := [name for name in names if self._kept[name].runs]:
            if time.monotonic() > deadline:
                raise ChaosError(f"{', '.join(alive)} did not end within {seconds:.0f} s.")
            time.sleep(0.02)

    def power_cut(self, *names: str) -> None:
        """kill -9 all of these with all they have started, and keep them down."""
        self.hold(*names)
        family = [member for name in names for member in self._family(name)]
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        psutil.wait_procs(family, timeout=10)

    def stop(self) -> None:
        """End all, and return when nothing is left."""
        self._over.set()
        if self._thread.is_alive():
            # The kernel ends the children with their thread, so it has to stay to the end.
            self._thread.join()

    # --- the thread ------------------------------------------------------------------

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_EVERY):
            with self._lock:
                for kept in self._kept.values():
                    self._look_at(kept)
        self._end_all()

    def _look_at(self, kept: Kept) -> None:
        now = time.monotonic()
        if kept.child is not None and kept.child.poll() is not None:
            lived = time.time() - kept.started_at[-1]
            kept.rest = min(kept.rest * 2, _LONGEST_REST) if lived < _QUICK_END else _REST
            kept.child, kept.may_start_at = None, now + kept.rest
        if kept.wanted and kept.child is None and now >= kept.may_start_at:
            kept.child = self._spawn(kept.process)
            kept.started_at.append(time.time())

    def _spawn(self, process: Process) -> subprocess.Popen[bytes]:
        with (self._logs / f"{process.name}.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                process.command_line(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A session of its own, so that Ctrl-C reaches us alone and we end all in order.
                start_new_session=True,
            )

    def _end_all(self) -> None:
        """kill -9, as there is nothing to be saved; but PostgreSQL has memory to give back."""
        polite = [one for one in self._kept.values() if one.process.stop_signal != signal.SIGTERM]
        self.power_cut(*(name for name, one in self._kept.items() if one not in polite))
        for kept in polite:
            self.send_all(kept.process.name, signal.SIGCONT)
            family = self._family(kept.process.name)
            self.send(kept.process.name, kept.process.stop_signal)
            _, alive = psutil.wait_procs(family, timeout=kept.process.stop_seconds)
            for member in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
        for kept in self._kept.values():
            if kept.child is not None:
                kept.child.wait()

    def _family(self, name: str) -> list[psutil.Process]:
        """The main process and all below it; none if it does not run."""
        child = self._kept[name].child
        try:
            main = psutil.Process(child.pid) if child and child.poll() is None else None
            return [main, *main.children(recursive=True)] if main else []
        except psutil.NoSuchProcess:
            return []


def kill(process_id: int) -> None:
    """kill -9, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)
