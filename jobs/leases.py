"""Telling a living lease from a dead one without comparing clocks. Pure; no Django model.

A beat is a counter. A lease is dead after the same beat was seen in a number of the
observer's own consecutive looks, so a clock jump, a suspended laptop or a restarted
database expires nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Lease = TypeVar("Lease", bound=Hashable)


@dataclass
class LeaseWatch(Generic[Lease]):
    """Counts, for each lease, in how many looks its beat has stood still."""

    dead_after: int
    _seen: dict[Lease, tuple[int, int]] = field(default_factory=dict)

    def look(self, beats: Mapping[Lease, int]) -> list[Lease]:
        """Take note of all present beats; returns the leases that are dead by now."""
        counted = {}
        for lease, beat in beats.items():
            last_beat, looks = self._seen.get(lease, (beat, -1))
            counted[lease] = (beat, looks + 1 if beat == last_beat else 0)
        self._seen = counted
        return [lease for lease, (_, looks) in counted.items() if looks >= self.dead_after]
