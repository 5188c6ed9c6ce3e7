"""The newest events, kept in memory, so that many readers cost one look into the log."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from events.entries import Entry

KEPT = 4000
"""Events; with what readers are told of each, some megabytes."""


class Recent:
    """All events after the id `begins_after` up to the id `newest`, without a gap."""

    def __init__(self, newest: int) -> None:
        self.begins_after = self.newest = newest
        self._entries: list[Entry] = []
        self._ids: list[int] = []

    def add(self, entries: Sequence[Entry]) -> None:
        """Add what comes next in the log."""
        if not entries:
            return
        self._entries += entries
        self._ids += [entry.id for entry in entries]
        self.newest = entries[-1].id
        if len(self._ids) > 2 * KEPT:
            # Not at each one: to cut the front of a list moves all the rest.
            self.begins_after = self._ids[-KEPT - 1]
            del self._entries[:-KEPT], self._ids[:-KEPT]

    def after(self, event_id: int) -> Iterator[Entry]:
        """Go through the events after an id, which must be none before `begins_after`."""
        for index in range(bisect_right(self._ids, event_id), len(self._ids)):
            yield self._entries[index]
