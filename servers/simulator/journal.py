"""The referee: what the simulated GPU really did, whatever the clients believe."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["running", "completed", "interrupted", "failed"]


@dataclass
class Generation:
    """One start of a generation. Times are seconds since the epoch."""

    task_id: str
    kind: str
    prompt: str
    seed: int | None
    steps: int | None
    arrived_at: float = field(default_factory=time.time)
    """When its request was read; it may then have waited for its turn."""
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    checkpoint: str | None = None
    """The name of the one really used; None if it failed before one was loaded."""
    outcome: Outcome = "running"


@dataclass(frozen=True)
class Interrupt:
    """One POST to interrupt or skip."""

    kind: Literal["interrupt", "skip"]
    at: float
    task_id: str | None
    """The task that was active then, None when idle."""
    seconds_since_poll: float | None
    """How long before, /internal/progress last called that very task active."""
    obeyed: bool
    checked_task_id: str | None = None
    """The task that /internal/progress last called active, to whoever asked."""
    seconds_since_check: float | None = None


class Journal:
    """Every start, end and interrupt; optionally also as JSON lines in a file."""

    def __init__(self, file: Path | None = None) -> None:
        self.generations: list[Generation] = []
        self.interrupts: list[Interrupt] = []
        self.max_parallel = 0
        """The most generations ever under way at once. More than 1 is a bug of the simulator."""
        self._parallel = 0
        self._file = file
        self._lock = threading.Lock()

    def begin(self, generation: Generation) -> Generation:
        with self._lock:
            self.generations.append(generation)
            self._parallel += 1
            self.max_parallel = max(self.max_parallel, self._parallel)
            self._write("start", asdict(generation))
        return generation

    def end(self, generation: Generation, outcome: Outcome) -> None:
        with self._lock:
            generation.outcome, generation.ended_at = outcome, time.time()
            self._parallel -= 1
            self._write("end", asdict(generation))

    def interrupt(self, interrupt: Interrupt) -> None:
        with self._lock:
            self.interrupts.append(interrupt)
            self._write("interrupt", asdict(interrupt))

    def as_json(self) -> dict[str, Any]:
        with self._lock:
            return {
                "generations": [asdict(generation) for generation in self.generations],
                "interrupts": [asdict(interrupt) for interrupt in self.interrupts],
                "max_parallel": self.max_parallel,
            }

    def count(self, wanted: Callable[[Generation], bool]) -> int:
        """How many generations fit, running ones included."""
        with self._lock:
            return sum(1 for generation in self.generations if wanted(generation))

    def _write(self, what: str, entry: dict[str, Any]) -> None:
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"event": what, **entry}) + "\n")
