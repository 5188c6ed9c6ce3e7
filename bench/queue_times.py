"""How little of a GPU's time is lost: dispatch, the gap between jobs, and many jobs at once."""

from __future__ import annotations

import itertools
import random
import time

from bench.forge import Forge
from bench.report import Row
from bench.stack import Stack

_GENERATION = 0.5
_SHORT_GENERATION = 0.3
_SERVERS = 4


def dispatch(stack: Stack, *, quick: bool) -> list[Row]:
    """From the 202 in the client's hands to the request in Forge's, when nothing else waits."""
    [forge] = stack.add_forges("Dispatch", seconds=_GENERATION)
    _submit_and_wait(stack, forge, seed=0)
    accepted = [_submit_and_wait(stack, forge, seed) for seed in range(1, 31 if quick else 51)]
    arrived = {drawn.seed: drawn.arrived_at for drawn in forge.drawn()}
    times = [arrived[seed] - moment for seed, moment in enumerate(accepted, 1)]
    whole = sum(times) / len(times) + _GENERATION
    return [
        Row(
            f"dispatch, idle queue, {_GENERATION} s jobs",
            times,
            ideal="0 ms",
            ratio=whole / _GENERATION,
        )
    ]


def _submit_and_wait(stack: Stack, forge: Forge, seed: int) -> float:
    """Have one job drawn and return when it was accepted."""
    job_id = stack.api.submit(forge.alias, seed=seed)
    accepted = time.time()
    time.sleep(_GENERATION)
    stack.clock.wait_until(lambda: stack.api.has_completed(job_id), "a single job")
    # The next one must not always meet the same moment of some timer.
    time.sleep(random.uniform(0, 0.05))
    return accepted


def gap(stack: Stack, *, quick: bool) -> list[Row]:
    """From the end of one generation to the start of the next, while the queue is full."""
    [forge] = stack.add_forges("Gap", seconds=_GENERATION)
    count = 8 if quick else 50
    for _ in range(count):
        stack.api.submit(forge.alias)
    stack.clock.wait_until(lambda: len(forge.drawn()) == count, f"{count} jobs", every=0.5)
    drawn = forge.drawn()
    times = [after.started_at - before.ended_at for before, after in itertools.pairwise(drawn)]
    span = drawn[-1].ended_at - drawn[0].started_at
    busy = sum(one.ended_at - one.started_at for one in drawn) / span
    return [
        Row(
            f"gap on one server, {_GENERATION} s jobs",
            times,
            f"busy {busy:.1%}",
            "busy 100%",
            1 / busy,
        )
    ]


def makespan(stack: Stack, *, quick: bool) -> list[Row]:
    """From the first submit to the last picture drawn, over several servers that are known.

    A job for each comes first: workers take up a new server's queue within two seconds.
    """
    aliases = [f"Span-{number}" for number in range(_SERVERS)]
    forges = stack.add_forges(*aliases, seconds=_SHORT_GENERATION)
    for forge in forges:
        _submit_and_wait(stack, forge, seed=0)
    count = 20 if quick else 100
    began = time.time()
    for number in range(count):
        stack.api.submit(forges[number % _SERVERS].alias)
    expected = count + len(forges)
    stack.clock.wait_until(lambda: _number_drawn(forges) == expected, f"{count} jobs", every=0.25)
    took = max(drawn.ended_at for forge in forges for drawn in forge.drawn()) - began
    ideal = count * _SHORT_GENERATION / _SERVERS
    what = f"{count} jobs of {_SHORT_GENERATION} s over {_SERVERS} servers"
    return [Row(what, (), f"{took:.2f} s", f"{ideal:.2f} s", took / ideal)]


def _number_drawn(forges: list[Forge]) -> int:
    return sum(len(forge.drawn()) for forge in forges)
