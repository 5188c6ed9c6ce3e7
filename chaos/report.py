"""What a run found: one line a round on screen, all of it in a file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from chaos.facts import Facts
from chaos.oracles import Finding
from chaos.plan import Round


@dataclass
class Played:
    """One round, as it went."""

    plan: Round
    steps: list[str] = field(default_factory=list)
    """What each step did, in its own words."""
    taken: list[str] = field(default_factory=list)
    """Failpoints that a process failed at."""
    seconds: float = 0.0
    healing_seconds: float | None = None
    missing: str = ""
    """Why it did not heal."""
    findings: list[Finding] = field(default_factory=list)

    def line(self) -> str:
        healed = "not healed" if self.healing_seconds is None else f"{self.healing_seconds:4.1f} s"
        what = "; ".join([*self.steps, *self.taken]) or "nothing went wrong"
        lines = [f"round {self.plan.number:3}  {self.seconds:5.1f} s, healing {healed}  {what}"]
        lines += [f"    VIOLATED {finding}" for finding in self.findings]
        lines += [f"    {self.missing}"] if self.missing else []
        return "\n".join(lines)


@dataclass
class Report:
    """A whole run."""

    seed: int
    rounds: list[Played] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def findings(self) -> list[Finding]:
        return [finding for played in self.rounds for finding in played.findings]

    def count(self, facts: Facts, ledger_figures: dict[str, Any]) -> None:
        """Take the figures from what is known at the end."""
        healing = [one.healing_seconds for one in self.rounds if one.healing_seconds is not None]
        ages = [one.seconds_since_check or 0.0 for one in facts.interrupts]
        again = Counter(start.job_id for start in facts.starts if facts.is_ours(start.task_id))
        self.figures = {
            "rounds": len(self.rounds),
            "jobs": dict(Counter(job.status for job in facts.jobs.values())),
            "jobs accepted": len(
                {job for one in facts.asked for ids in one.accepted for job in ids}
            ),
            "starts": sum(again.values()),
            "started again": sum(count - 1 for count in again.values()),
            "attempts charged": sum(event.kind == "job.retry" for event in facts.events),
            "left on disk": len(facts.leftovers()),
            "interrupts": len(ages),
            "oldest check before an interrupt, ms": round(max(ages, default=0.0) * 1000, 1),
            "longest healing, s": round(max(healing, default=0.0), 1),
            **ledger_figures,
            "failpoints": dict(Counter(name for one in self.rounds for name in one.taken)),
            "violations": len(self.findings),
        }

    def summary(self) -> str:
        lines = [f"{name}: {_short(value)}" for name, value in self.figures.items()]
        verdict = "The promise was kept." if not self.findings else "THE PROMISE WAS BROKEN."
        return "\n".join(["", *lines, f"seed {self.seed}: {verdict}"])

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=2, default=str) + "\n")


def _short(value: Any) -> str:
    """A figure on one line: of counts their names and numbers."""
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items()) or "none"
    return str(value)


def new_findings(known: Sequence[Finding], found: Sequence[Finding]) -> list[Finding]:
    """Return what was not found before: facts add up from round to round."""
    return [finding for finding in found if finding not in set(known)]
