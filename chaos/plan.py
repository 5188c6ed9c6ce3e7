"""What will be done to it, and when: all of it follows from one number. Pure."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.failpoints import Failpoint

# One server is renamed or removed at a time: else the same Forge would be there twice.
_ONE_OF_THESE = frozenset({"pause-a-server", "remove-a-server", "rename-a-server"})
_AT_ONCE = 5
"""Failpoints that are armed together in a round that is about them."""


@dataclass(frozen=True)
class Move:
    """One step, and when it is done: seconds after the one before."""

    after: float
    step: str
    seed: int


@dataclass(frozen=True)
class Round:
    """Some wishes of clients, and what goes wrong meanwhile."""

    number: int
    seed: int
    jobs: int
    moves: tuple[Move, ...] = ()
    failpoints: tuple[tuple[Failpoint, str], ...] = ()
    """Each has to be come by before the round is over."""


def endless(seed: int, steps: Sequence[str]) -> Iterator[Round]:
    """Rounds of one to four steps by chance, for as long as somebody asks for more."""
    chance = random.Random(seed)
    for number in itertools.count(1):
        moves = [_move(chance, steps) for _ in range(chance.choice((1, 2, 2, 3, 4)))]
        yield Round(number, chance.getrandbits(32), chance.randint(6, 12), _bearable(moves))


def counted(seed: int, actions: Sequence[str], steps: Sequence[str]) -> Iterator[Round]:
    """Every failpoint with every one of `actions`, a few at a time; then a round for each step."""
    chance = random.Random(seed)
    armed = _groups(actions)
    for number, group in enumerate(armed, 1):
        yield Round(number, chance.getrandbits(32), 5, failpoints=tuple(group))
    for number, name in enumerate(steps, len(armed) + 1):
        yield Round(number, chance.getrandbits(32), 5, (_move(chance, [name]),))


def _groups(actions: Sequence[str]) -> list[list[tuple[Failpoint, str]]]:
    pairs = [(name, action) for action in actions for name in Failpoint]
    return [pairs[first : first + _AT_ONCE] for first in range(0, len(pairs), _AT_ONCE)]


def _move(chance: random.Random, steps: Sequence[str]) -> Move:
    return Move(round(chance.uniform(0.2, 1.5), 2), chance.choice(steps), chance.getrandbits(32))


def _bearable(moves: Sequence[Move]) -> tuple[Move, ...]:
    kept: list[Move] = []
    for move in moves:
        if move.step in _ONE_OF_THESE and any(one.step in _ONE_OF_THESE for one in kept):
            continue
        kept.append(move)
    return tuple(kept)
