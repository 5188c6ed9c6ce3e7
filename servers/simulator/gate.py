"""The one lock in front of the GPU: first come, first served, and a way to stop it all."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from servers.simulator.errors import AbortedError


class Gate:
    """Lets one at a time through. `changed` guards everything the engine shows."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._line: deque[object] = deque()
        self._stops = 0
        self._stops_seen_by_holder = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait until all who came before are through. Raises AbortedError at a stop."""
        ticket = object()
        with self.changed:
            seen = self._stops
            self._line.append(ticket)
            self.changed.wait_for(lambda: self._line[0] is ticket or self._stops != seen)
        try:
            if self._stops != seen:
                raise AbortedError
            self._stops_seen_by_holder = seen
            yield
        finally:
            with self.changed:
                self._line.remove(ticket)
                self.changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Hold the GPU for `seconds`. Raises AbortedError at a stop."""
        with self.changed:
            stopped = self.changed.wait_for(
                lambda: self._stops != self._stops_seen_by_holder, timeout=max(seconds, 0.0)
            )
        if stopped:
            raise AbortedError

    def wait(self, seconds: float) -> None:
        """Let time pass without the GPU. Raises AbortedError at a stop."""
        with self.changed:
            seen = self._stops
            if self.changed.wait_for(lambda: self._stops != seen, timeout=seconds):
                raise AbortedError

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait, without the GPU, for what `changed` tells of. Raises AbortedError at a stop."""
        with self.changed:
            seen = self._stops
            self.changed.wait_for(lambda: condition() or self._stops != seen)
            if self._stops != seen:
                raise AbortedError

    def abort(self) -> None:
        """Throw out everybody who waits or works."""
        with self.changed:
            self._stops += 1
            self.changed.notify_all()
