"""Processes that fail at a chosen step of a job's way. The list of steps comes from the code."""

from __future__ import annotations

import random

from chaos.stack import Stack
from jobs.failpoints import Failpoint

ACTIONS = ("raise", "kill9", "sleep")
_SLEEP = "sleep=4"
"""Longer than a lease lives without a beat, time being scaled."""


def arm_a_failpoint(stack: Stack, chance: random.Random) -> str:
    """The next process that comes to that step fails there."""
    return arm(stack, chance.choice(list(Failpoint)), chance.choice(ACTIONS))


def arm(stack: Stack, name: Failpoint, action: str) -> str:
    """Arm one failpoint, for the first who comes by."""
    draft = stack.failpoints / f".{name}.draft"
    draft.write_text(_SLEEP if action == "sleep" else action)
    draft.rename(stack.failpoints / name)
    return f"{name} {action}"


def armed(stack: Stack) -> list[Failpoint]:
    """Return those that nobody has come by yet."""
    return [name for name in Failpoint if (stack.failpoints / name).exists()]


def disarm(stack: Stack) -> None:
    for name in Failpoint:
        (stack.failpoints / name).unlink(missing_ok=True)


STEPS = (arm_a_failpoint,)
