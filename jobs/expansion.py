"""From one set of parameters to the many of a batch. Pure.

The order of the jobs is that of nested loops, the outermost first: prompts, then the axes as
they were sent, then the copies. So prompts a, b with steps 10, 20 and two copies become

    a 10, a 10, a 20, a 20, b 10, b 10, b 20, b 20

A copy differs from the others by its seed. `incremental` gives copy i the seed + i, whatever
its prompt and its place on the axes, so that those are compared on the same picture; the
seed is the client's, or drawn once for the batch. `random` draws one for every job.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jobs.parameters import FORGE_SEEDS, MAX_SEED, given_seed

MAX_JOBS = 1000


class TooManyJobs(ValueError):
    """The plan makes more jobs than a batch may have. `field` is where it goes too far."""

    def __init__(self, field: str) -> None:
        super().__init__(f"Makes more than {MAX_JOBS} jobs, all fields together.")
        self.field = field


@dataclass(frozen=True)
class Axes:
    """Values that parameters take, one after the other: all combinations, or in step.

    In step (`zip`) all have the same number of values; the first job takes the first of each.
    """

    mode: Literal["grid", "zip"]
    values: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        lengths = [len(values) for values in self.values.values()]
        return math.prod(lengths) if self.mode == "grid" else min(lengths)

    def points(self) -> Iterator[dict[str, Any]]:
        """Every choice of values; on a grid the last parameter changes fastest."""
        choices = itertools.product(*self.values.values())
        if self.mode == "zip":
            choices = zip(*self.values.values(), strict=True)  # type: ignore[assignment]
        for choice in choices:
            yield dict(zip(self.values, choice, strict=True))


@dataclass(frozen=True)
class Plan:
    """How a batch differs in itself."""

    prompts: Sequence[str] = ()
    axes: Sequence[Axes] = ()
    copies: int = 1
    seed_variation: Literal["random", "incremental"] = "incremental"

    def check_count(self) -> None:
        """Raise TooManyJobs naming the first field that goes beyond the limit."""
        count = 1
        for field, factor in (
            ("prompts", len(self.prompts) or 1),
            ("axes", math.prod(map(len, self.axes))),
            ("bulk_quantity", self.copies),
        ):
            count *= factor
            if count > MAX_JOBS:
                raise TooManyJobs(field)


@dataclass(frozen=True)
class Variant:
    """The parameters of one job of the batch, its seed among them."""

    parameters: dict[str, Any]
    seed: int


def expand(
    common: Mapping[str, Any], plan: Plan, draw: Callable[[int], int] = random.randrange
) -> list[Variant]:
    """The jobs of `plan`, in order. `draw(n)` gives a number below n. Raises TooManyJobs."""
    plan.check_count()
    drawn = draw(FORGE_SEEDS)
    variants = []
    for parts in itertools.product(_prompts(plan), *(axes.points() for axes in plan.axes)):
        point = dict(common)
        for part in parts:
            point.update(part)
        given = given_seed(point)
        first = drawn if given is None else given
        for copy in range(plan.copies):
            is_random = plan.seed_variation == "random"
            # Behind the largest seed the smallest follows.
            seed = draw(FORGE_SEEDS) if is_random else (first + copy) % (MAX_SEED + 1)
            variants.append(Variant({**point, "seed": seed}, seed))
    return variants


def _prompts(plan: Plan) -> list[dict[str, Any]]:
    return [{"positive_prompt": prompt} for prompt in plan.prompts] or [{}]
