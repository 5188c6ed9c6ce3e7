"""A simulated Forge in a process of its own: how it is started, steered, and what it saw."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from chaos.facts import Interrupt, Start
from stablequeue_project.stack.ports import LOOPBACK
from stablequeue_project.stack.processes import Process

ORDER = 5
"""Before the engines at the start and after them at the end: nobody's work waits for it."""
_ANSWER_SECONDS = 3.0


@dataclass
class Forge:
    """One simulated Forge, and what somebody else did to it in the meantime."""

    alias: str
    port: int
    seconds: float
    """What a picture takes."""
    journal: Path
    username: str
    password: str = field(repr=False)
    pressed: list[tuple[float, float]] = field(default_factory=list)
    """When somebody else pressed Interrupt: before it was sent, after it was answered."""

    @property
    def name(self) -> str:
        """The name of its process."""
        return f"forge-{self.alias.lower()}"

    def process(self) -> Process:
        command = (sys.executable, "manage.py", "runforgesim", "--port", str(self.port))
        times = ("--seconds", str(self.seconds), "--load-seconds", "0.2")
        log = ("--log", str(self.journal), "--name", self.alias)
        return Process(self.name, (*command, *times, *log), order=ORDER, stop_seconds=3)

    # --- what others do there --------------------------------------------------------

    def fault(self, kind: str, **more: object) -> bool:
        """Let something go wrong. False if it does not run."""
        return self._post("/__sim__/faults", {"fault": kind, **more})

    def somebody_draws(self, seconds: float) -> bool:
        """Let a person draw there, in front of whatever we send next."""
        return self._post("/__sim__/foreign", {"seconds": seconds})

    def somebody_interrupts(self) -> bool:
        """Let a person press Interrupt, whoever's picture it is."""
        before = time.time()
        try:
            return self._post("/sdapi/v1/interrupt", {})
        finally:
            self.pressed.append((before, time.time()))

    # --- what it saw -----------------------------------------------------------------

    def starts(self, restarts: list[float]) -> list[Start]:
        """Every generation that began here. `restarts`: when its process was started.

        One that never ended was cut off by a restart at the latest.
        """
        found: dict[tuple[str, float], Start] = {}
        for entry in self._entries():
            if entry["event"] in ("start", "end"):
                start = Start(
                    server=self.alias,
                    task_id=entry["task_id"],
                    seed=entry["seed"],
                    arrived_at=entry["arrived_at"],
                    started_at=entry["started_at"],
                    ended_at=entry["ended_at"] or _next(restarts, entry["started_at"]),
                    outcome=entry["outcome"],
                )
                found[start.task_id, start.started_at] = start
        return list(found.values())

    def interrupts(self) -> list[Interrupt]:
        """Every interrupt that arrived here, but for those that somebody else sent."""
        theirs = list(self.pressed)
        found = []
        for entry in self._entries():
            if entry["event"] != "interrupt":
                continue
            window = next((pair for pair in theirs if pair[0] <= entry["at"] <= pair[1]), None)
            if window is None:
                found.append(
                    Interrupt(
                        self.alias,
                        entry["at"],
                        entry["task_id"],
                        entry["checked_task_id"],
                        entry["seconds_since_check"],
                    )
                )
            else:
                theirs.remove(window)
        return found

    def is_drawing(self, word: str = "") -> bool:
        """Whether a generation with that word in its prompt is under way, as far as it answers."""
        try:
            url = f"http://{LOOPBACK}:{self.port}/__sim__/log"
            told = requests.get(url, timeout=_ANSWER_SECONDS).json()["generations"]
        except (requests.RequestException, ValueError):
            return False
        return any(one["outcome"] == "running" and word in one["prompt"] for one in told)

    def _entries(self) -> Iterator[dict[str, Any]]:
        if not self.journal.exists():
            return
        for line in self.journal.read_text(errors="replace").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                # The last words of a Forge that was killed while it wrote them.
                continue

    def _post(self, path: str, body: dict[str, object]) -> bool:
        try:
            url = f"http://{LOOPBACK}:{self.port}{path}"
            return requests.post(url, json=body, timeout=_ANSWER_SECONDS).ok
        except requests.RequestException:
            return False


def _next(restarts: list[float], moment: float) -> float | None:
    return min((restart for restart in restarts if restart > moment), default=None)
