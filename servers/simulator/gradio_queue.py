"""The queue of Forge's page: gradio's, in front of Forge's own lock.

Functions of one line run one at a time, others beside them. What happens is told to the
session that joined; it is kept until its stream is opened, and a stream that is closed takes
the session's waiting events out of the queue, while a running one goes on unheard.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from servers.simulator.errors import AbortedError, RefusalError, SimulatorError
from servers.simulator.gradio_page import PageFunction

Message = dict[str, Any]

_CLOSED_CHECK = 0.05
"""Seconds between two looks whether a client still listens, as in gradio."""
_KEPT_SESSIONS = 2000
MAX_WAITING = 1000
"""Forge's page has no such bound; the simulator keeps its own memory bounded."""


@dataclass(eq=False)
class Event:
    """One call of a function of the page, waiting or running."""

    function: PageFunction
    data: list[Any]
    session: str
    root: str
    """The address the pictures of the answer are to be fetched below."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    cut_connection: Callable[[], None] = lambda: None
    """Breaks the connection its session listens on."""


@dataclass
class Session:
    """What one client has not heard yet."""

    messages: deque[Message] = field(default_factory=deque)
    open_events: set[str] = field(default_factory=set)


Call = Callable[[Event], list[Any]]
"""Does what an event asks for. A SimulatorError is told the client without its reason."""


class PageQueue:
    """All lines of one page."""

    def __init__(self, call: Call, *, heartbeat: float) -> None:
        self._call = call
        self._heartbeat = heartbeat
        self._changed = threading.Condition()
        self._sessions: dict[str, Session] = {}
        self._waiting: defaultdict[str, list[Event]] = defaultdict(list)
        self._running: set[str] = set()
        self._durations: dict[int, tuple[int, float]] = {}
        """How many calls of a function there were, and their seconds together."""
        self._stopped = False

    @property
    def size(self) -> int:
        """How many events wait. Running ones do not count."""
        with self._changed:
            return sum(len(line) for line in self._waiting.values())

    def join(self, event: Event) -> None:
        """Put an event at the end of its line. Raises RefusalError 503 if too many wait."""
        with self._changed:
            if (waiting := self.size) >= MAX_WAITING:
                text = f"Queue is full. Max size is {MAX_WAITING} and size is {waiting}."
                raise RefusalError(503, text)
            session = self._sessions.setdefault(event.session, Session())
            session.open_events.add(event.id)
            while len(self._sessions) > _KEPT_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            line = self._waiting[event.function.line]
            line.append(event)
            eta = self._average(event.function)
            self._tell(event, "estimation", rank=len(line) - 1, queue_size=len(line), rank_eta=eta)
            self._advance(event.function.line)

    def log(self, event: Event, text: str) -> None:
        """Show the client a note while its event runs."""
        with self._changed:
            self._tell(event, "log", log=text, level="info", duration=10, visible=True)

    def listen(self, session_hash: str, is_gone: Callable[[], bool]) -> Iterator[Message]:
        """What happens to a session's events, up to the end of the last one.

        Ends early when `is_gone` says so. Raises KeyError for a session nobody joined with, or
        whose stream was closed before, and AbortedError when the simulator stops.
        """
        beaten = time.monotonic()
        try:
            while True:
                with self._changed:
                    message, is_last = self._next(session_hash)
                if message is None and time.monotonic() - beaten > self._heartbeat:
                    beaten = time.monotonic()
                    message = {"msg": "heartbeat", "event_id": None}
                if message is not None:
                    yield message
                if is_last:
                    break
                if is_gone():
                    self._leave(session_hash)
                    return
        except GeneratorExit:
            self._leave(session_hash)
            raise
        yield {"msg": "close_stream", "event_id": None}

    def stop(self) -> None:
        """Say nothing more to anybody."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def timed(self, function: PageFunction, output: list[Any], seconds: float) -> dict[str, Any]:
        """The output of a call as gradio wraps it, its duration noted for later estimates."""
        with self._changed:
            count, total = self._durations.get(function.id, (0, 0.0))
            self._durations[function.id] = count + 1, total + seconds
            average = self._average(function)
        return {
            "data": output,
            "is_generating": False,
            "duration": seconds,
            "average_duration": average,
            "render_config": None,
            "changed_state_ids": [],
        }

    def _next(self, session_hash: str) -> tuple[Message | None, bool]:
        """The next message, waited for a moment; and whether it is the last of its session."""
        session = self._sessions[session_hash]
        if not session.messages and not self._stopped:
            self._changed.wait(_CLOSED_CHECK)
        if self._stopped:
            raise AbortedError
        if not session.messages:
            return None, False
        message = session.messages.popleft()
        if message["msg"] != "process_completed":
            return message, False
        session.open_events.discard(message["event_id"])
        return message, not session.open_events

    def _leave(self, session_hash: str) -> None:
        with self._changed:
            self._sessions.pop(session_hash, None)
            for line in self._waiting.values():
                for event in [it for it in line if it.session == session_hash]:
                    line.remove(event)

    def _advance(self, line: str) -> None:
        if line in self._running or not self._waiting[line] or self._stopped:
            return
        self._running.add(line)
        event = self._waiting[line].pop(0)
        self._tell(event, "process_starts", eta=self._average(event.function))
        threading.Thread(target=self._run, args=(event,), name="forge-page", daemon=True).start()

    def _run(self, event: Event) -> None:
        began = time.monotonic()
        success, output = True, dict[str, Any]()
        try:
            found = self._call(event)
            output = self.timed(event.function, found, time.monotonic() - began)
        except AbortedError:
            self.stop()
        except SimulatorError:
            success, output = False, {"error": None}
        with self._changed:
            self._tell(event, "process_completed", output=output, success=success)
            self._running.discard(event.function.line)
            self._advance(event.function.line)

    def _tell(self, event: Event, kind: str, **more: Any) -> None:
        if session := self._sessions.get(event.session):
            session.messages.append({"msg": kind, "event_id": event.id, **more})
            self._changed.notify_all()

    def _average(self, function: PageFunction) -> float | None:
        count, total = self._durations.get(function.id, (0, 0.0))
        return total / count if count else None
