"""A simulated Forge in a process of its own, and what its journal says."""

from __future__ import annotations

import http.client
import json
import sys
from dataclasses import dataclass

from stablequeue_project.stack.ports import LOOPBACK
from stablequeue_project.stack.processes import Process


@dataclass(frozen=True)
class Drawn:
    """One generation that ended. Times are seconds since the epoch."""

    seed: int
    arrived_at: float
    started_at: float
    ended_at: float


@dataclass(frozen=True)
class Forge:
    """One simulated Forge."""

    alias: str
    port: int

    def process(self, seconds: float) -> Process:
        """Return what to run for a Forge whose pictures take `seconds`."""
        command = (sys.executable, "manage.py", "runforgesim", "--port", str(self.port))
        times = ("--seconds", str(seconds), "--load-seconds", "0")
        return Process(f"forge-{self.port}", (*command, *times), order=0)

    def drawn(self) -> list[Drawn]:
        """Return the generations that ended, in their order."""
        line = http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)
        try:
            line.request("GET", "/__sim__/log")
            told = json.loads(line.getresponse().read())["generations"]
        finally:
            line.close()
        return [
            Drawn(entry["seed"], entry["arrived_at"], entry["started_at"], entry["ended_at"])
            for entry in told
            if entry["outcome"] == "completed"
        ]
