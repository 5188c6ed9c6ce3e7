"""The figures on screen: percentiles, and a table that says how far they are from the ideal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEADINGS = ("", "n", "p50", "p95", "max", "result", "ideal", "ratio")


@dataclass(frozen=True)
class Row:
    """One line of the table. `times` are seconds; `ratio` is the result to the ideal."""

    what: str
    times: Sequence[float] = ()
    result: str = ""
    ideal: str = ""
    ratio: float | None = None

    def cells(self) -> tuple[str, ...]:
        spread = ["", "", "", ""]
        if self.times:
            points = (percentile(self.times, 50), percentile(self.times, 95), max(self.times))
            spread = [str(len(self.times)), *map(milliseconds, points)]
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return (self.what, *spread, self.result, self.ideal, ratio)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def table(rows: Iterable[Row]) -> str:
    """Return the rows under their headings, text to the left and figures to the right."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
