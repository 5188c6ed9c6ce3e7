"""One open event stream: a client's socket, what it wants, and how far it has been told.

What a client has not taken yet is bounded: its stream then stands still, and is told the rest
from the log once there is room. So a slow reader misses nothing and takes no memory.
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass

from events.entries import Entry
from events.filters import FINAL, Filter

ROOM = 64 * 1024
"""Bytes that may wait for a client before nothing more is added."""


@dataclass(frozen=True)
class Asked:
    """What a client asked for."""

    filter: Filter
    position: int
    """The id after which its events begin."""
    greeting: bytes
    key_id: str | None = None
    """The API key it showed. The stream ends when that key does, by an event after `known_at`."""
    known_at: int = 0
    ends_with_job: bool = False
    """Whether to end when the job has ended."""
    has_ended: bool = False
    """Whether it had, when asked."""
    until: int = 0
    """The id of the newest event about it, when asked."""


class Outlet:
    """Belongs to the hub's thread once it was handed over."""

    def __init__(self, line: socket.socket, head: bytes, asked: Asked) -> None:
        self.line = line
        self.asked = asked
        self.position = asked.position
        self.is_closed = False
        self._out = bytearray(head + asked.greeting)
        self._job_has_ended = asked.has_ended
        self._key_has_ended = False
        self._waits_since: float | None = None

    @property
    def has_room(self) -> bool:
        return len(self._out) < ROOM and not self._key_has_ended

    @property
    def is_behind_in_sending(self) -> bool:
        return bool(self._out)

    def has_stalled(self, seconds: float) -> bool:
        """Whether its client has taken nothing for so long, though there was something."""
        return self._waits_since is not None and time.monotonic() - self._waits_since > seconds

    def is_at_its_end(self, newest: int) -> bool:
        """Whether nothing more will be told, and all was sent."""
        was_told_all = self.position >= max(newest, self.asked.until)
        job_is_over = self.asked.ends_with_job and self._job_has_ended and was_told_all
        return (job_is_over or self._key_has_ended) and not self._out

    def pass_by(self, entry: Entry) -> None:
        """Take the next event, if it is wanted."""
        self.position = entry.id
        asked = self.asked
        if entry.subject_id == asked.key_id and _ends_key(entry) and entry.id > asked.known_at:
            self._key_has_ended = True
            return
        job_id = entry.job_id
        if asked.filter.takes(entry.kind, job_id, entry.scope):
            self._out += entry.lines
        if asked.ends_with_job and job_id == asked.filter.job:
            self._job_has_ended = entry.kind in FINAL or (
                self._job_has_ended and entry.kind != "job.retried"
            )

    def add(self, lines: bytes) -> None:
        """Tell something that is not of the log; dropped if there is no room."""
        if self.has_room:
            self._out += lines

    def send(self) -> None:
        """Send as much as the client takes now. Raises OSError when it is gone."""
        while self._out:
            try:
                sent = self.line.send(self._out)
            except BlockingIOError:
                self._waits_since = self._waits_since or time.monotonic()
                return
            del self._out[:sent]
            self._waits_since = None

    def give_up(self) -> None:
        """Let the system forget, too, what it was still to send."""
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def is_left(self) -> bool:
        """Read what the client sends, which is nothing; say whether it has gone away."""
        try:
            return not self.line.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            return True


def _ends_key(entry: Entry) -> bool:
    is_off = entry.kind == "api_key.updated" and entry.data.get("is_active") is False
    return is_off or entry.kind == "api_key.deleted"
