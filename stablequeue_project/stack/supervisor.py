"""Keeping processes alive: supervisord, run inside this process.

Inside, so that its events are plain calls: output goes to the console, the gate opens
when it has succeeded, and a process that supervisord has given up is started again.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from supervisor import events  # type: ignore[import-untyped]
from supervisor.medusa import asyncore_25 as asyncore  # type: ignore[import-untyped]
from supervisor.options import ServerOptions  # type: ignore[import-untyped]
from supervisor.poller import Poller  # type: ignore[import-untyped]
from supervisor.states import (  # type: ignore[import-untyped]
    ProcessStates,
    SupervisorStates,
    getProcessStateDescription,
)
from supervisor.supervisord import Supervisor  # type: ignore[import-untyped]

from stablequeue_project.stack.console import Console
from stablequeue_project.stack.folder import DataFolder, write_private
from stablequeue_project.stack.processes import SETTINGS_UNUSABLE, Process

# A process that ends sooner than this has failed to start. It is tried again after 1, 2, 3
# seconds, then supervisord gives it up, and our own tick of five seconds begins anew.
_STARTED_AFTER_SECONDS = 3
_TRIES_IN_A_ROW = 3

_HEAD = """\
[supervisord]
nodaemon=true
silent=true
logfile=logs/supervisor.log
logfile_maxbytes=5MB
logfile_backups=2
pidfile=run/supervisor.pid
childlogdir=logs
minfds=64
minprocs=16
"""
_PROGRAM = """\
[program:{name}]
command={command}
autostart={autostart}
autorestart={autorestart}
startsecs={startsecs}
startretries={startretries}
stopsignal={stopsignal}
stopwaitsecs={stopwaitsecs}
redirect_stderr=true
stdout_events_enabled=true
stdout_logfile=logs/{name}.log
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


def configuration(processes: Sequence[Process]) -> str:
    """Return supervisord's configuration for `processes`. Paths in it are relative to the data."""
    gate = _gate_order(processes)
    head = _HEAD + ("user=root\n" if os.geteuid() == 0 else "")
    sections = [head, *(_program(process, gate) for process in processes)]
    for order, members in groupby(sorted(processes, key=_order), key=_order):
        names = ",".join(process.name for process in members)
        sections.append(f"[group:order-{order}]\nprograms={names}\npriority={order}\n")
    return "\n".join(sections)


class _BriskPoller(Poller):  # type: ignore[misc]
    """Lets supervisord look at its processes five times a second instead of once."""

    def poll(self, timeout: float) -> Any:
        return super().poll(min(timeout, 0.2))


class Keeper(Supervisor):  # type: ignore[misc]
    """supervisord for our processes, in the foreground, until a signal asks it to stop."""

    def __init__(self, folder: DataFolder, processes: Sequence[Process], console: Console) -> None:
        self._processes = {process.name: process for process in processes}
        self._gate = _gate_order(processes)
        self._console = console
        self.gave_up_on: str | None = None
        """The gate that said, by its exit code, that trying again is useless."""
        self.stopping_began = threading.Event()
        file = folder.run / "supervisor.conf"
        write_private(file, configuration(processes))
        # Log files and the rest are named relative to the data folder: supervisord's
        # configuration has no way to quote every character a path may hold.
        os.chdir(folder.path)
        options = ServerOptions()
        options.realize(["--configuration", str(file.relative_to(folder.path))], doc="")
        options.first = True
        options.test = False
        options.poller = _BriskPoller(options)
        super().__init__(options)

    def keep(self) -> None:
        """Run until SIGTERM, SIGINT or SIGHUP, then stop all in order and return."""
        hangup = signal.getsignal(signal.SIGHUP)
        self._ignores_hangup = hangup == signal.SIG_IGN
        with contextlib.suppress(asyncore.ExitNow):
            self.main()

    def stop(self) -> None:
        """Let `keep` stop all in order and return; callable from any thread."""
        self.options.mood = SupervisorStates.SHUTDOWN

    def unfinished(self) -> list[str]:
        """Return the names of the processes that are not (or no longer) as they should be."""
        return [
            f"{kept.config.name} ({getProcessStateDescription(kept.get_state()).lower()})"
            for kept in self._kept()
            if not self._is_fine(kept)
        ]

    def runforever(self) -> None:
        """Subscribe to our events, which supervisord clears before it calls this."""
        if self._ignores_hangup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        events.subscribe(events.ProcessLogStdoutEvent, self._show)
        events.subscribe(events.ProcessStateExitedEvent, self._exited)
        events.subscribe(events.ProcessStateBackoffEvent, self._failed_to_start)
        events.subscribe(events.SupervisorStoppingEvent, self._stopping)
        events.subscribe(events.Tick5Event, self._revive)
        super().runforever()

    def _show(self, event: Any) -> None:
        self._console.feed(event.process.config.name, event.data)

    def _exited(self, event: Any) -> None:
        kept = event.process
        if not self._process(kept).is_gate:
            self._console.say(f"{kept.config.name} ended and is started again.")
        elif event.expected:
            self._start_behind_the_gate()
        elif kept.exitstatus == SETTINGS_UNUSABLE:
            self.gave_up_on = kept.config.name
            self.stop()

    def _failed_to_start(self, event: Any) -> None:
        self._console.say(f"{event.process.config.name} did not start and is tried again.")

    def _stopping(self, event: Any) -> None:
        self.stopping_began.set()
        self._console.say("Stopping. What is nearly drawn is finished first, for 40 s at most.")

    def _revive(self, event: Any) -> None:
        """Start what supervisord has given up: nothing here is ever given up."""
        if self.options.mood != SupervisorStates.RUNNING:
            return
        for kept in self._kept():
            gate_failed = self._process(kept).is_gate and kept.state == ProcessStates.EXITED
            if kept.state == ProcessStates.FATAL or (gate_failed and kept.exitstatus != 0):
                kept.spawn()

    def _start_behind_the_gate(self) -> None:
        for kept in self._kept():
            if self._process(kept).order > self._gate and kept.state == ProcessStates.STOPPED:
                kept.spawn()

    def _is_fine(self, kept: Any) -> bool:
        if self._process(kept).is_gate:
            return bool(kept.state == ProcessStates.EXITED and kept.exitstatus == 0)
        return bool(kept.state == ProcessStates.RUNNING)

    def _process(self, kept: Any) -> Process:
        return self._processes[kept.config.name]

    def _kept(self) -> Iterable[Any]:
        """Return supervisord's records of our processes, in the order of their start."""
        groups = sorted(self.process_groups.values())
        return [kept for group in groups for kept in group.processes.values()]


def _program(process: Process, gate: int) -> str:
    return _PROGRAM.format(
        name=process.name,
        command=_quoted(process.command_line()),
        autostart="true" if process.order <= gate else "false",
        autorestart="false" if process.is_gate else "true",
        startsecs=0 if process.is_gate else _STARTED_AFTER_SECONDS,
        startretries=_TRIES_IN_A_ROW,
        stopsignal=process.stop_signal.name.removeprefix("SIG"),
        stopwaitsecs=process.stop_seconds,
    )


def _quoted(command: Sequence[str]) -> str:
    """Write `command` so that supervisord's configuration gives it back unchanged.

    A blank followed by # or ; begins a comment there, even inside quotes; so these two are
    quoted anew, which puts a quotation mark between them and the blank.
    """
    text = shlex.join(command).replace("%", "%%")
    return text.replace("#", "'\"#\"'").replace(";", "'\";\"'")


def _gate_order(processes: Sequence[Process]) -> int:
    return min((process.order for process in processes if process.is_gate), default=sys.maxsize)


def _order(process: Process) -> int:
    return process.order
