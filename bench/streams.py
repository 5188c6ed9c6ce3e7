"""Three hundred event streams while five jobs run: how soon a change is seen by all of them, and
whether one is missed by listeners that break off and come back."""

from __future__ import annotations

import random
import re
import selectors
import socket
import threading
import time
from collections.abc import Iterator

from bench.api import Api
from bench.errors import BenchError
from bench.report import Row
from bench.stack import Stack

_STREAMS = 300
_SERVERS = tuple(f"Stream-{number}" for number in range(5))
_DRAWING_SECONDS = 120.0
_BAR = 0.150
_HEAD_SECONDS = 10.0
_EVENT = re.compile(rb"id: (\d+)\nevent: (\S+)\n")


class Listener:
    """One client: how it stands in the log, and which of the changes it has seen."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.seen: list[int] = []
        self.line: socket.socket | None = None
        self._place = ""
        self._read = b""
        self.connect()

    def connect(self) -> None:
        """Open the stream, at the place where it broke off."""
        self.line = socket.create_connection((self._api.host, self._api.port), _HEAD_SECONDS)
        fields = {"Host": "127.0.0.1", **self._api.headers}
        if self._place:
            fields["Last-Event-ID"] = self._place
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.line.sendall(f"GET /api/v1/events HTTP/1.1\r\n{head}\r\n".encode())
        self._read = b""
        while b"event: ready" not in self._read:
            piece = self.line.recv(65536)
            if not piece or b"event: reset" in piece:
                raise BenchError(f"A stream was not opened: {self._read[:300]!r}")
            self._read += piece
        self._take()
        self.line.setblocking(False)

    def break_off(self) -> None:
        if self.line is not None:
            self.line.close()
            self.line = None

    def read(self) -> list[int]:
        """Take in what has come; returns the ids of changes that were among it."""
        if self.line is None:
            return []
        try:
            piece = self.line.recv(262144)
        except BlockingIOError:
            return []
        if not piece:
            raise BenchError("A stream was closed from the other side.")
        self._read += piece
        return self._take()

    def _take(self) -> list[int]:
        whole, _, self._read = self._read.rpartition(b"\n\n")
        found = []
        for event_id, kind in _EVENT.findall(whole + b"\n\n"):
            self._place = event_id.decode()
            if kind in (b"job.starred", b"job.unstarred"):
                found.append(int(event_id))
        self.seen += found
        return found


class Crowd:
    """All listeners, read by one thread."""

    def __init__(self, api: Api, size: int) -> None:
        self.listeners = [Listener(api) for _ in range(size)]
        self.lock = threading.Lock()
        # Of each change: how many have seen it, and when the last of them did.
        self._counts: dict[int, int] = {}
        self._seen_at: dict[int, float] = {}
        self._selector = selectors.DefaultSelector()
        for listener in self.listeners:
            self.join(listener)
        self._failure = ""
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self, listener: Listener) -> None:
        if listener.line is not None:
            self._selector.register(listener.line, selectors.EVENT_READ, listener)

    def leave(self, listener: Listener) -> None:
        if listener.line is not None:
            self._selector.unregister(listener.line)
        listener.break_off()

    def seen_by_all_at(self) -> Iterator[float]:
        """When each change was seen by the last one, in the order of the changes."""
        if self._failure:
            raise BenchError(self._failure)
        size = len(self.listeners)
        counts = sorted(self._counts.items())
        return (self._seen_at[event_id] for event_id, count in counts if count == size)

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        for listener in self.listeners:
            listener.break_off()

    def _run(self) -> None:
        while not self._ends.is_set():
            ready = self._selector.select(0.05)
            with self.lock:
                for key, _ in ready:
                    self._read(key.data)

    def _read(self, listener: Listener) -> None:
        try:
            found = listener.read()
        except (BenchError, OSError) as error:
            self._failure = str(error)
            self.leave(listener)
            return
        now = time.monotonic()
        for event_id in found:
            self._counts[event_id] = self._counts.get(event_id, 0) + 1
            self._seen_at[event_id] = now


def streams(stack: Stack, *, quick: bool) -> list[Row]:
    """Measure from the sending of the request that makes the change: later than that is the
    commit, so the figures are a little too high."""
    changes, reconnects = (30, 30) if quick else (150, 100)
    stack.add_forges(*_SERVERS, seconds=_DRAWING_SECONDS)
    jobs = [stack.api.submit(alias) for alias in _SERVERS]
    for job_id in jobs:
        stack.clock.wait_until(lambda: _is_running(stack.api, job_id), "five jobs to run")  # noqa: B023
    crowd = Crowd(stack.api, _STREAMS)
    try:
        times, others = _seen_by_all(stack, crowd, jobs[0], changes)
        missed, twice = _come_back(stack, crowd, jobs[0], reconnects)
    finally:
        crowd.close()
    for job_id in jobs:
        stack.api.call("POST", f"/api/v1/queue/jobs/{job_id}/cancel")
    slowest = sorted(times)[int(len(times) * 0.95)]
    return [
        Row(
            f"change → seen by all of {_STREAMS} streams",
            times,
            "",
            f"{_BAR * 1000:.0f} ms",
            slowest / _BAR,
        ),
        Row("  other requests meanwhile", others),
        Row(f"  {reconnects} reconnects", (), f"{missed} missed", f"{twice} twice"),
    ]


def _seen_by_all(
    stack: Stack, crowd: Crowd, job_id: str, changes: int
) -> tuple[list[float], list[float]]:
    times, others = [], []
    for number in range(changes):
        began = time.monotonic()
        _change(stack.api, job_id, number)
        others.append(time.monotonic() - began)
        seen = stack.clock.wait_until(
            lambda: (at := list(crowd.seen_by_all_at()))[number:] and at,  # noqa: B023
            "a change to be seen by all",
        )
        times.append(seen[number] - began)
        time.sleep(random.uniform(0, 0.05))
    return times, others


def _come_back(stack: Stack, crowd: Crowd, job_id: str, reconnects: int) -> tuple[int, int]:
    """Break streams off at random and bring them back while changes go on."""
    away: list[Listener] = []
    for number in range(reconnects):
        listener = random.choice(crowd.listeners)
        with crowd.lock:
            crowd.leave(listener)
            if listener not in away:
                away.append(listener)
        _change(stack.api, job_id, number)
        if len(away) >= 5:
            _bring_back(crowd, away.pop(random.randrange(len(away))))
    while away:
        _bring_back(crowd, away.pop())
    with stack.database() as database:
        [[expected]] = database.execute(
            "SELECT array_agg(id ORDER BY id) FROM events_event"
            " WHERE kind IN ('job.starred', 'job.unstarred')"
        ).fetchall()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(
        len(listener.seen) < len(expected) for listener in crowd.listeners
    ):
        time.sleep(0.05)
    missed = sum(len(set(expected) - set(listener.seen)) for listener in crowd.listeners)
    twice = sum(len(listener.seen) - len(set(listener.seen)) for listener in crowd.listeners)
    return missed, twice


def _bring_back(crowd: Crowd, listener: Listener) -> None:
    listener.connect()
    with crowd.lock:
        crowd.join(listener)


def _change(api: Api, job_id: str, number: int) -> None:
    api.call("DELETE" if number % 2 else "POST", f"/api/v1/queue/jobs/{job_id}/star")


def _is_running(api: Api, job_id: str) -> bool:
    told = api.call("GET", f"/api/v1/queue/jobs/{job_id}/status")
    return bool(told["phase"] == "generating")
