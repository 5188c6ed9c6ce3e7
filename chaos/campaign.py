"""Playing rounds: clients ask, steps break, everything gets quiet, the oracles judge."""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Callable, Iterator

from chaos import sweeping
from chaos.client import Crowd
from chaos.collect import collect
from chaos.facts import Facts
from chaos.healing import end_all_faults, seconds_until_healed, what_is_missing
from chaos.oracles import Finding, Transitions, violations
from chaos.plan import Round
from chaos.report import Played, Report, new_findings
from chaos.stack import Stack
from chaos.steps import STEPS, failpoints, processes

HEALS_WITHIN = 60.0
"""Seconds from the end of all faults until everything is well and all jobs have ended.

Of the scenarios the longest one stated; waits before a retry are not scaled."""
_CROWD_SECONDS = 8.0
_PROVOKED_SECONDS = 6.0
_PROVOCATIONS = 6


class Campaign:
    """One run on one stack."""

    def __init__(self, stack: Stack, report: Report, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._report = report
        self._say = say
        self._transitions = legal_transitions()
        self._facts = Facts()

    def play(self, rounds: Iterator[Round], until: float) -> None:
        """Play `rounds` until there are none left, or the monotonic clock says `until`."""
        for plan in rounds:
            if time.monotonic() >= until:
                break
            played = self._play(plan)
            self._report.rounds.append(played)
            self._say(played.line())
        if self._report.rounds and sweeping.is_there():
            self._sweep()
        self._report.count(self._facts, self._ledger_figures())

    def _play(self, plan: Round) -> Played:
        began = time.monotonic()
        played = Played(plan)
        crowd = self._crowd(plan)
        for name, action in plan.failpoints:
            failpoints.arm(self._stack, name, action)
        crowd.start()
        for move in plan.moves:
            self._rest(move.after)
            did = STEPS[move.step](self._stack, random.Random(move.seed))
            played.steps.append(f"{move.step}: {did}")
        self._rest_while(lambda: crowd.is_busy() or self._stack.has_put_off, _CROWD_SECONDS)
        if plan.failpoints:
            self._provoke(plan)
            left = failpoints.armed(self._stack)
            played.taken = [f"{name} {act}" for name, act in plan.failpoints if name not in left]
            played.findings = [
                Finding("coverage", f"no process came by the failpoint {name}.") for name in left
            ]
        end_all_faults(self._stack)
        crowd.send_home()
        self._judge(played)
        played.seconds = time.monotonic() - began
        return played

    def _judge(self, played: Played) -> None:
        played.healing_seconds = seconds_until_healed(self._stack, HEALS_WITHIN)
        if played.healing_seconds is None:
            played.missing = what_is_missing(self._stack)
        self._facts = collect(self._stack, played.healing_seconds, HEALS_WITHIN)
        found = violations(self._facts, self._transitions)
        played.findings += new_findings(self._report.findings, found)

    def _sweep(self) -> None:
        """Judge once more when nothing may lie about any longer."""
        sweeping.sweep(self._stack)
        last = self._report.rounds[-1]
        self._facts = collect(self._stack, last.healing_seconds, HEALS_WITHIN, is_swept=True)
        known = self._report.findings
        last.findings += new_findings(known, violations(self._facts, self._transitions))
        self._say(f"swept, {len(self._report.findings) - len(known)} new findings")

    def _provoke(self, plan: Round) -> None:
        """Bring about what leads to the steps that nobody came by yet.

        More jobs, in turns with and without the death of the workers that draw them.
        """
        for number in range(_PROVOCATIONS):
            if not failpoints.armed(self._stack):
                return
            crowd = self._crowd(plan, f"provoked-{number}")
            crowd.start()
            if number % 2:
                processes.kill_while_drawing(self._stack, random.Random(plan.seed))
            self._rest_while(lambda: bool(failpoints.armed(self._stack)), _PROVOKED_SECONDS)
            crowd.send_home()

    def _crowd(self, plan: Round, more: str = "") -> Crowd:
        marker = "-".join(filter(None, (f"round-{plan.number}", more)))
        aliases = [forge.alias for forge in self._stack.forges]
        chance = random.Random(f"{plan.seed} {more}")
        return Crowd(self._stack.client, aliases, marker, chance, plan.jobs)

    def _rest(self, seconds: float) -> None:
        self._rest_while(lambda: True, seconds)

    def _rest_while(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait, doing meanwhile what steps put off."""
        ends = time.monotonic() + seconds
        while condition() and time.monotonic() < ends:
            self._stack.do_what_is_due()
            time.sleep(0.05)

    def _ledger_figures(self) -> dict[str, object]:
        ledger = self._stack.ledger
        return {
            "answers lost": ledger.lost_answers,
            "cancelled": len(ledger.cancelled),
            "deleted": len(ledger.deleted),
            "retried by a person": ledger.retried,
            "refusals": dict(sorted(ledger.refused.items())),
        }


def legal_transitions() -> Transitions:
    """The changes of status that the code itself calls legal.

    Its module belongs to Django, whose settings name engines that run only by now.
    """
    importlib.import_module("django").setup()
    legal: Transitions = importlib.import_module("jobs.lifecycle").TRANSITIONS
    return legal
