"""The demo on a terminal: warnings and news, and below them a bar for each job."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import IO, Any, Protocol

import rich.console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Column

from stablequeue_project.stack.console import OWN_NAME, Console

# The levels as our own log lines and gunicorn's have them. Redis warns of the kernel's
# settings at every start, which is nothing to look at here.
_WARNING = re.compile(r"^\S+ \S+ (WARNING|ERROR|CRITICAL) |\[(WARNING|ERROR|CRITICAL)\]")


class WarningsOnly(Console):
    """A console that keeps to itself what the log files have anyway."""

    def say(self, text: str, name: str = OWN_NAME) -> None:
        """Show the stack's own words, and of the processes' lines the warnings."""
        if name == OWN_NAME or _WARNING.search(text):
            super().say(text, name)


class Screen(Protocol):
    """Where jobs are followed."""

    @property
    def console(self) -> Console:
        """Takes everything else that is to be said."""

    def follow(self, titles: Iterable[str]) -> None:
        """Begin to show jobs, numbered from 0."""

    def show(self, number: int, job: dict[str, Any]) -> None:
        """Show how a job stands, as the API tells it."""

    def close(self) -> None:
        """Leave the last state of the jobs on the screen."""


def screen(names: Iterable[str], out: IO[str] | None = None) -> Screen:
    """Return what suits `out`: bars for a terminal, lines for a file or a pipe."""
    out = out or sys.stdout
    terminal = rich.console.Console(file=out, force_terminal=out.isatty(), highlight=False)
    if terminal.is_terminal and not terminal.is_dumb_terminal:
        return Bars(names, terminal)
    return Lines(names, out)


class Lines:
    """A line for every step of a job."""

    def __init__(self, names: Iterable[str], out: IO[str]) -> None:
        self.console = WarningsOnly(names, out)
        self._titles: list[str] = []
        self._shown: dict[int, str] = {}

    def follow(self, titles: Iterable[str]) -> None:
        self._titles = [*titles]

    def show(self, number: int, job: dict[str, Any]) -> None:
        doing = _doing(job)
        if self._shown.get(number) != doing:
            self._shown[number] = doing
            self.console.say(f"{self._titles[number]}: {doing}")

    def close(self) -> None:
        """Everything is on the screen already."""


class Bars:
    """A bar for every job, below all other lines."""

    def __init__(self, names: Iterable[str], terminal: rich.console.Console) -> None:
        self.console = WarningsOnly(names, _Above(terminal))
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=_column(26)),
            BarColumn(bar_width=24, complete_style="blue", finished_style="green"),
            TaskProgressColumn(),
            TextColumn("{task.fields[doing]}", markup=False, table_column=_column(None)),
            console=terminal,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._bars: list[TaskID] = []

    def follow(self, titles: Iterable[str]) -> None:
        self._bars = [self._progress.add_task(title, total=100, doing="") for title in titles]
        self._progress.start()

    def show(self, number: int, job: dict[str, Any]) -> None:
        self._progress.update(
            self._bars[number], completed=job["progress_percentage"], doing=_doing(job)
        )

    def close(self) -> None:
        self._progress.stop()


class _Above:
    """Writes above the bars."""

    def __init__(self, terminal: rich.console.Console) -> None:
        self._terminal = terminal

    def write(self, text: str, /) -> None:
        self._terminal.out(text, end="", highlight=False)

    def flush(self) -> None:
        self._terminal.file.flush()


def _column(width: int | None) -> Column:
    return Column(width=width, no_wrap=True, overflow="ellipsis")


def _doing(job: dict[str, Any]) -> str:
    """Say in few words what a job is doing, and where."""
    if job["status"] == "completed":
        return f"done by {job['target_server_alias']}"
    if job["status"] in ("failed", "cancelled"):
        return f"{job['status']}: {(job['result_details'] or {}).get('message', '')}"
    return str(job["reason"] or job["phase"] or job["status"])
