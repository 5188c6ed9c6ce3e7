"""The lines on the terminal: each behind the name of the process it comes from."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Protocol

OWN_NAME = "stablequeue"
_WAITING_LINES = 10_000
_LONGEST_LINE = 65_536


class Out(Protocol):
    """Where a console writes."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...


class Console:
    """Writes lines from a thread of its own.

    A terminal that is held (Ctrl-S) or a pipe that nobody reads must not stop the
    supervisor, so lines that do not fit the queue are dropped; the log files have them.
    """

    def __init__(self, names: Iterable[str], out: Out | None = None) -> None:
        self._width = max(map(len, (*names, OWN_NAME)))
        self._out = out or sys.stdout
        self._unfinished: defaultdict[str, bytes] = defaultdict(bytes)
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING_LINES)
        self._writer = threading.Thread(target=self._write, name="console", daemon=True)
        self._writer.start()

    def say(self, text: str, name: str = OWN_NAME) -> None:
        """Show `text`, which may have several lines, as coming from `name`."""
        for line in text.splitlines():
            with contextlib.suppress(queue.Full):
                self._lines.put_nowait(f"{name:<{self._width}} | {line}\n")

    def feed(self, name: str, data: bytes) -> None:
        """Show the complete lines of `name`'s output, of which `data` is the next piece."""
        *lines, rest = (self._unfinished[name] + data).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._unfinished[name] = rest
        for line in lines:
            self.say(line.decode(errors="replace"), name)

    def close(self) -> None:
        """Show what waits, for at most two seconds, if the terminal takes it."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=1)
        self._writer.join(timeout=1)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._out.write(line)
                if self._lines.empty():
                    self._out.flush()
            except (OSError, ValueError):
                # The terminal is gone. The stack goes on without it.
                return
        with contextlib.suppress(OSError, ValueError):
            self._out.flush()
