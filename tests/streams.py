"""A client of event streams: raw HTTP, so that heads, comments and ends are seen as they are."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """One event as a client reads it."""

    kind: str
    id: int | None
    data: dict[str, Any]


class Stream:
    """An open event stream. Whoever waits for something waits ten seconds at most."""

    def __init__(self, port: int, path: str = "/api/v1/events", **headers: str) -> None:
        self.line = socket.create_connection(("127.0.0.1", port), timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
        lines += [f"{name}: {value}" for name, value in named.items()]
        self.line.sendall("\r\n".join([*lines, "", ""]).encode())
        self._read = b""
        self.head = self._take_until(b"\r\n\r\n").decode()
        self.status = int(self.head.split()[1])
        self.comments = 0

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()

    def text(self) -> str:
        """The body of an answer that is no stream."""
        fields = dict(line.lower().split(": ", 1) for line in self.head.split("\r\n")[1:])
        while len(self._read) < int(fields["content-length"]):
            self._read += self.line.recv(65536)
        return self._read.decode()

    def next(self) -> Told | None:
        """The next event; None at the end of the stream."""
        assert self.status == 200, self.head
        while True:
            try:
                block = self._take_until(b"\n\n")
            except EOFError:
                return None
            fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
            if b"event" in fields:
                event_id = int(fields[b"id"]) if b"id" in fields else None
                return Told(fields[b"event"].decode(), event_id, json.loads(fields[b"data"]))
            self.comments += 1

    def first(self) -> Told:
        """The first event, which says where the stream begins."""
        told = self.next()
        assert told is not None
        return told

    def until(self, kind: str) -> list[Told]:
        """All events up to the next one of this kind."""
        told = []
        while (event := self.next()) is not None:
            told.append(event)
            if event.kind == kind:
                return told
        raise AssertionError(f"the stream ended without {kind}, after {told}")

    def rest(self) -> list[Told]:
        """All events up to the end of the stream."""
        told = []
        while (event := self.next()) is not None:
            told.append(event)
        return told

    def _take_until(self, end: bytes) -> bytes:
        while end not in self._read:
            piece = self.line.recv(65536)
            if not piece:
                raise EOFError
            self._read += piece
        taken, _, self._read = self._read.partition(end)
        return taken
