"""Forges that crash, hang, answer nonsense, or work for somebody else."""

from __future__ import annotations

import random
from functools import partial

from chaos.forge import Forge
from chaos.stack import Stack

BAD_ANSWERS = (
    "error_500_text",
    "error_500_json",
    "oom",
    "close_midway",
    "truncate",
    "not_json",
    "html",
    "no_images",
    "not_png",
    "fewer_images",
)
LASTING = {"slow_load": 3.0, "hang": 4.0, "drip": 2.0, "progress_hang": 2.0}
"""Faults that take their time, and how much: none outlasts its round."""


def crash_a_forge(stack: Stack, chance: random.Random) -> str:
    """kill -9; back after a while, knowing nothing."""
    forge = chance.choice(stack.forges)
    seconds = chance.choice((0.0, 1.0, 3.0))
    stack.supervisor.power_cut(forge.name)
    stack.later(seconds, partial(stack.supervisor.release, forge.name))
    return f"{forge.alias}, back after {seconds} s"


def crash_midway(stack: Stack, chance: random.Random) -> str:
    """It ends itself at half of a picture."""
    return _fault(stack, chance, "die")


def refuse(stack: Stack, chance: random.Random) -> str:
    """Nobody listens for a while."""
    return _fault(stack, chance, "refuse", seconds=chance.choice((0.5, 2.0)))


def answer_badly(stack: Stack, chance: random.Random) -> str:
    """An error, or an answer that holds no pictures: once, twice, or until it is held."""
    kind = chance.choice(BAD_ANSWERS)
    return _fault(stack, chance, kind, times=chance.choice((1, 1, 2, 6)))


def take_long(stack: Stack, chance: random.Random) -> str:
    """Loading, drawing, answering or telling how far it is takes very long."""
    kind = chance.choice(sorted(LASTING))
    return _fault(stack, chance, kind, seconds=LASTING[kind])


def tell_no_progress(stack: Stack, chance: random.Random) -> str:
    """Drawing goes well, asking how far it is doesn't."""
    return _fault(stack, chance, "progress_500", times=chance.choice((1, 5)))


def forget_tasks(stack: Stack, chance: random.Random) -> str:
    """As after a restart too quick to notice."""
    return _fault(stack, chance, "forget_tasks")


def ignore_an_interrupt(stack: Stack, chance: random.Random) -> str:
    """A Forge that does not listen once."""
    return _fault(stack, chance, "ignore_interrupt")


def somebody_interrupts(stack: Stack, chance: random.Random) -> str:
    """A person presses Interrupt there."""
    forge = _busy(stack, chance)
    return forge.alias if forge.somebody_interrupts() else f"{forge.alias} was away"


def somebody_draws(stack: Stack, chance: random.Random) -> str:
    """A person uses the same Forge."""
    forge = chance.choice(stack.forges)
    return forge.alias if forge.somebody_draws(1.5) else f"{forge.alias} was away"


def _fault(stack: Stack, chance: random.Random, kind: str, **more: object) -> str:
    forge = _busy(stack, chance)
    times = {"times": 1, **more}
    said = " ".join(f"{name}={value}" for name, value in more.items())
    came = forge.fault(kind, **times)
    return f"{forge.alias} {kind} {said}".strip() + ("" if came else ": it was away")


def _busy(stack: Stack, chance: random.Random) -> Forge:
    """One that draws, if any does: there a fault is met."""
    first = chance.choice(stack.forges)
    drawing = [forge for forge in stack.forges if forge.is_drawing()]
    return drawing[0] if drawing and first not in drawing else first


STEPS = (
    crash_a_forge,
    crash_midway,
    refuse,
    answer_badly,
    take_long,
    tell_no_progress,
    forget_tasks,
    ignore_an_interrupt,
    somebody_interrupts,
    somebody_draws,
)
