"""Whose turn it is, as a pure function: the heads of a server's line in, one of them out.

A line is what waits for one server with the same class and priority. Inside it keys take turns:
next is the key that was passed most often since its last turn. Jobs whose checkpoint is loaded
already may go before their turn, to save loading another one, but only so far:

- No key is passed more than `most` times (and once more for each other key that is as late), or
  for longer than `longest` seconds while jobs are started, with a job of its own waiting.
- No job is overtaken by more than `most` younger ones of its own key, class and priority, or for
  longer than `longest` after the first of them.

What is to be remembered for that is a value, too: the `Standing` of each key, which whoever
calls keeps from one choice to the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

Rank = tuple[bool, int]
"""Class (background or not) and priority."""


@dataclass(frozen=True)
class Head:
    """A job that may be next: the first of its key, or its first for a checkpoint."""

    job_id: UUID
    owner: UUID
    rank: Rank
    position: float
    checkpoint: str
    """Empty if it is drawn with whatever is loaded."""
    submitted_at: float = 0
    """In seconds, on the same clock as `now`."""


@dataclass(frozen=True)
class Skip:
    """A job that went before an older one of its own key."""

    rank: Rank
    position: float
    at: float


@dataclass(frozen=True)
class Standing:
    """How a key stands in a server's line."""

    passed: int = 0
    """Jobs of others that were started since its last turn, while one of its own waited."""
    since: float | None = None
    """When the first of them was."""
    skips: tuple[Skip, ...] = ()

    def is_late(self, bound: Bound, now: float) -> bool:
        """Whether it must not be passed again."""
        return self.passed >= bound.most or _is_over(self.since, bound, now)


NEW = Standing()


@dataclass(frozen=True)
class Bound:
    """How far anybody may be overtaken: by so many jobs, for so many seconds."""

    most: int
    longest: float


@dataclass(frozen=True)
class Decision:
    """The job whose turn it is, and the standings that change if it is started."""

    head: Head
    standings: Mapping[UUID, Standing]


def choose(
    heads: Sequence[Head],
    *,
    loaded: str,
    standings: Mapping[UUID, Standing],
    bound: Bound,
    now: float,
) -> Decision | None:
    """Choose among heads of one rank. None if there is none.

    `heads` hold at least the first job of each key, and of each key the first one that asks
    for the checkpoint that is `loaded` (empty if that is not known) and the first one that
    asks for none.
    """
    if not heads:
        return None
    firsts = _firsts(heads)
    known = {
        owner: _still_true(standings.get(owner, NEW), first) for owner, first in firsts.items()
    }
    owner = _whose_turn(firsts, known)
    late = [each for each in firsts if known[each].is_late(bound, now)]
    if late:
        owner = _whose_turn({each: firsts[each] for each in late}, known)
        warm = _warm(
            [head for head in heads if head.owner == owner], loaded, firsts, known, bound, now
        )
    else:
        warm = _warm(heads, loaded, firsts, known, bound, now)
    chosen = warm[_whose_turn(warm, known)] if warm else firsts[owner]
    return Decision(chosen, _afterwards(chosen, firsts, known, standings, now))


def _firsts(heads: Sequence[Head]) -> dict[UUID, Head]:
    """The first job of each key."""
    firsts: dict[UUID, Head] = {}
    for head in sorted(heads, key=_age):
        firsts.setdefault(head.owner, head)
    return firsts


def _whose_turn(heads: Mapping[UUID, Head], known: Mapping[UUID, Standing]) -> UUID:
    """The key that was passed most often; among equals the one whose job is the oldest."""
    return min(heads, key=lambda owner: (-known[owner].passed, *_age(heads[owner])))


def _warm(
    heads: Sequence[Head],
    loaded: str,
    firsts: Mapping[UUID, Head],
    known: Mapping[UUID, Standing],
    bound: Bound,
    now: float,
) -> dict[UUID, Head]:
    """Of each key the first job for which nothing need be loaded, if it may go now."""
    if not loaded:
        return {}
    warm = _firsts([head for head in heads if head.checkpoint in ("", loaded)])
    return {
        owner: head
        for owner, head in warm.items()
        if head is firsts[owner] or not _was_overtaken(firsts[owner], known[owner], bound, now)
    }


def _was_overtaken(first: Head, standing: Standing, bound: Bound, now: float) -> bool:
    """Whether the oldest job of a key has let as many younger ones go before it as it must."""
    skips = [skip for skip in standing.skips if _counts(skip, first)]
    since = min((skip.at for skip in skips), default=None)
    return len(skips) >= bound.most or _is_over(since, bound, now)


def _is_over(since: float | None, bound: Bound, now: float) -> bool:
    return since is not None and now - since >= bound.longest


def _counts(skip: Skip, first: Head) -> bool:
    return skip.rank == first.rank and skip.position > first.position


def _still_true(standing: Standing, first: Head) -> Standing:
    """Forget what happened before the key had a job waiting again."""
    if standing.since is not None and standing.since < first.submitted_at:
        return replace(standing, passed=0, since=None)
    return standing


def _afterwards(
    chosen: Head,
    firsts: Mapping[UUID, Head],
    known: Mapping[UUID, Standing],
    before: Mapping[UUID, Standing],
    now: float,
) -> dict[UUID, Standing]:
    """The standings that are others than before once the chosen job is started."""
    after: dict[UUID, Standing] = {}
    for owner, first in firsts.items():
        standing = known[owner]
        if owner != chosen.owner:
            since = now if standing.since is None else standing.since
            after[owner] = replace(standing, passed=standing.passed + 1, since=since)
            continue
        skips = tuple(
            skip for skip in standing.skips if skip.rank != first.rank or _counts(skip, first)
        )
        if chosen is not first:
            skips = (*skips, Skip(chosen.rank, chosen.position, now))
        after[owner] = Standing(skips=skips)
    return {
        owner: standing for owner, standing in after.items() if standing != before.get(owner, NEW)
    }


def _age(head: Head) -> tuple[float, UUID]:
    return head.position, head.job_id
