"""Processes that die, stand still or are asked to end; and the power cut."""

from __future__ import annotations

import random
import shutil
import signal
import time
from functools import partial

from chaos import supervisor
from chaos.forge import Forge
from chaos.stack import Stack

_OUTLASTS_A_LEASE = 6.0
OURS = ("worker", "dispatcher", "web", "chores")


def kill_a_process(stack: Stack, chance: random.Random) -> str:
    """kill -9 of one process of ours, or of a process it has started."""
    name = _one_of_ours(stack, chance)
    children = stack.supervisor.children(name)
    if children and chance.random() < 0.5:
        supervisor.kill(chance.choice(children))
        return f"a child of {name}"
    stack.supervisor.send(name, signal.SIGKILL)
    return name


def kill_both_workers(stack: Stack, chance: random.Random) -> str:
    """Nobody is left to draw."""
    for name in stack.names("worker"):
        stack.supervisor.send(name, signal.SIGKILL)
    return "worker-1, worker-2"


def kill_while_drawing(stack: Stack, chance: random.Random) -> str:
    """kill -9 of the workers as soon as a Forge draws."""
    forge = chance.choice(stack.forges)
    _have_something_to_draw(stack, forge, chance)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        if drawing := [one.alias for one in stack.forges if one.is_drawing()]:
            kill_both_workers(stack, chance)
            return f"while {', '.join(drawing)} drew"
        time.sleep(0.05)
    return "nobody drew"


def kill_while_loading(stack: Stack, chance: random.Random) -> str:
    """kill -9 of the workers while a Forge is at a picture that outlasts their lease."""
    forge = chance.choice(stack.forges)
    marker = _have_something_to_draw(stack, forge, chance)
    forge.fault("slow_load", seconds=_OUTLASTS_A_LEASE, match=marker)
    deadline = time.monotonic() + 4
    while time.monotonic() < deadline:
        if forge.is_drawing(marker):
            kill_both_workers(stack, chance)
            return f"at {forge.alias}"
        time.sleep(0.05)
    return f"nobody drew at {forge.alias}"


def _have_something_to_draw(stack: Stack, forge: Forge, chance: random.Random) -> str:
    """Return a word in the prompts of the jobs that are now there for this Forge."""
    marker = f"step-{chance.getrandbits(32):08x}"
    stack.client.submit(forge.alias, marker, count=3)
    return marker


def terminate_a_process(stack: Stack, chance: random.Random) -> str:
    """SIGTERM, and perhaps SIGKILL soon after, as docker stop does."""
    name = _one_of_ours(stack, chance)
    stack.supervisor.send(name, signal.SIGTERM)
    if chance.random() < 0.5:
        stack.later(1.0, partial(stack.supervisor.send, name, signal.SIGKILL))
        return f"{name}, and for good a second later"
    return name


def freeze_a_process(stack: Stack, chance: random.Random) -> str:
    """SIGSTOP, and SIGCONT when others may have taken over its work."""
    name = _one_of_ours(stack, chance)
    return f"{name} for {_freeze(stack, chance, [name]):.1f} s"


def freeze_everything(stack: Stack, chance: random.Random) -> str:
    """A laptop's lid is closed and opened again."""
    return f"for {_freeze(stack, chance, stack.supervisor.names()):.1f} s"


def cut_the_power(stack: Stack, chance: random.Random) -> str:
    """kill -9 of everything but the Forges; Redis has forgotten all; any order of starts."""
    names = stack.names()
    stack.supervisor.power_cut(*names)
    shutil.rmtree(stack.folder.redis, ignore_errors=True)
    stack.folder.redis.mkdir(mode=0o700)
    chance.shuffle(names)
    delay = 0.0
    for name in names:
        stack.later(delay, partial(stack.supervisor.release, name))
        delay += chance.choice((0.0, 0.2, 0.5))
    return f"back in the order {', '.join(names)}"


def _one_of_ours(stack: Stack, chance: random.Random) -> str:
    return chance.choice([name for word in OURS for name in stack.names(word)])


def _freeze(stack: Stack, chance: random.Random, names: list[str]) -> float:
    """Longer than a beat, longer than a lease, or in between."""
    seconds = chance.choice((0.4, 2.0, 4.5))
    began = time.time()
    for name in names:
        stack.supervisor.send_all(name, signal.SIGSTOP)

    def thaw() -> None:
        for name in names:
            stack.supervisor.send_all(name, signal.SIGCONT)
        stack.frozen.append((began, time.time()))

    stack.later(seconds, thaw)
    return seconds


STEPS = (
    kill_a_process,
    kill_both_workers,
    kill_while_drawing,
    kill_while_loading,
    terminate_a_process,
    freeze_a_process,
    freeze_everything,
    cut_the_power,
)
