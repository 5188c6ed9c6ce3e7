"""Holds the event streams of one web process: one thread and one LISTEN for all of them.

A stream's socket is taken over from the web server (events/handover.py), so an open stream
occupies neither a thread nor a database connection. Each stream has a position in the log and
is told what comes after it, from memory if it is recent, else from the table. There is no
other way for an event to reach a client, hence neither a gap nor a repetition where replay
ends and the present begins.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg_pool
from django.conf import settings
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    InterfaceError,
    OperationalError,
    connections,
)

from events import log
from events.entries import PAGE, Cursor, Scope, Scopes, event_lines, newest_id, read
from events.errors import TooManyStreams
from events.outlet import Asked, Outlet
from events.recent import Recent

logger = logging.getLogger(__name__)

_AWAY = (DatabaseError, InterfaceError, psycopg_pool.PoolTimeout)
_OPENING_SECONDS = 8.0
_RECONNECT_SECONDS = 1.0
_LINGER_SECONDS = 30.0
_HEARTBEAT = b":\n\n"
_WAKE, _NEWS = object(), object()


@dataclass(frozen=True)
class Progress:
    """How far a running job is."""

    job_id: str
    scope: Scope
    told: dict[str, Any]


class Sight(Protocol):
    """What the hub has to be told about jobs, of which it knows nothing itself."""

    @property
    def scopes(self) -> Scopes: ...

    def progress(self, cursor: Cursor, /) -> Sequence[Progress]:
        """How far each running job is."""


class Hub:
    """Hands the log on to clients. Safe to be asked from any thread."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._lock = threading.Lock()
        self._count = 0
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._is_listening = threading.Event()
        self._arrivals: list[Outlet] = []

    # --- asked by the threads of requests ------------------------------------------------

    def reserve(self) -> None:
        """Take a place for one more stream, to be given back by `release`, or used up by `take`.

        Raises TooManyStreams, and OperationalError while the database is away.
        """
        with self._lock:
            if self._count >= settings.MAX_STREAMS:
                raise TooManyStreams(settings.MAX_STREAMS)
            self._count += 1
            self._start()
        self._wake()
        if not self._is_listening.wait(_OPENING_SECONDS):
            self.release()
            raise OperationalError("the event log cannot be listened to")

    def release(self) -> None:
        """Give a place back."""
        with self._lock:
            self._count -= 1

    def take(self, line: socket.socket, head: bytes, asked: Asked) -> None:
        """Hold a stream from now on, on the place that was reserved for it."""
        self._arrivals.append(Outlet(line, head, asked))
        self._wake()

    def stop(self) -> None:
        """End all streams."""
        self._stopping = True
        if (thread := self._thread) is not None:
            self._wake()
            thread.join(2)

    def _start(self) -> None:
        if self._thread is None:
            # Only now: what was begun before the web server forks would be missing in its child.
            self._waking, self._wakes = socket.socketpair()
            self._thread = threading.Thread(target=self._run, name="events", daemon=True)
            self._thread.start()
            atexit.register(self.stop)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wakes.send(b"!")

    # --- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        self._selector = selectors.DefaultSelector()
        for line in (self._waking, self._wakes):
            line.setblocking(False)
        self._selector.register(self._waking, selectors.EVENT_READ, _WAKE)
        self._database = connections.create_connection(DEFAULT_DB_ALIAS)
        self._is_connected = False
        self._connect_at = 0.0
        self._used_at = time.monotonic()
        self._recent = Recent(0)
        self._outlets: set[Outlet] = set()
        # Those that are to be told more of what is in the log already.
        self._lagging: set[Outlet] = set()
        self._has_news = False
        self._jobs_may_run = True
        self._last_progress: dict[str, dict[str, Any]] = {}
        self._beat_at = self._progress_at = 0.0
        try:
            while not self._stopping:
                try:
                    self._turn()
                except _AWAY as error:
                    self._lose(error)
        finally:
            self._end_all()

    def _end_all(self) -> None:
        """Close every stream; its client comes back by itself and says what it saw last."""
        with self._lock:
            # Should it have died of a fault of ours, whose traceback is in the log: the next
            # stream begins it anew.
            self._thread = None
            self._is_listening.clear()
        for outlet in [*self._outlets, *self._arrivals]:
            with contextlib.suppress(OSError):
                outlet.send()
            outlet.line.close()
            self.release()
        self._arrivals.clear()
        self._disconnect()
        for part in (self._selector, self._waking, self._wakes):
            part.close()

    def _turn(self) -> None:
        self._keep_connected()
        for key, mask in self._selector.select(self._patience()):
            if key.data is _WAKE:
                self._waking.recv(4096)
            elif key.data is _NEWS:
                self._hear()
            else:
                self._attend(key.data, mask)
        self._welcome()
        if self._is_connected:
            if self._has_news:
                self._read_news()
            lagging, self._lagging = self._lagging, set()
            for outlet in lagging & self._outlets:
                self._tell(outlet)
        self._do_what_time_makes_due()

    def _patience(self) -> float | None:
        """Seconds until there is something to do that nobody wakes us for."""
        if (self._lagging or self._has_news) and self._is_connected:
            return 0
        if not self._outlets:
            return _LINGER_SECONDS if self._is_connected or self._count else None
        due = [self._beat_at]
        if not self._is_connected:
            due.append(self._connect_at)
        elif self._jobs_may_run:
            due.append(self._progress_at)
        return max(0.0, min(due) - time.monotonic())

    # --- the database ----------------------------------------------------------------------

    def _keep_connected(self) -> None:
        now = time.monotonic()
        if self._count:
            self._used_at = now
        if self._is_connected:
            with self._lock:
                is_idle = not self._count and now - self._used_at >= _LINGER_SECONDS
                if is_idle:
                    self._is_listening.clear()
            if is_idle:
                self._disconnect()
        elif self._count and now >= self._connect_at:
            self._connect_at = now + _RECONNECT_SECONDS
            self._connect()

    def _connect(self) -> None:
        self._database.ensure_connection()
        with self._cursor() as cursor:
            cursor.execute(f"LISTEN {log.CHANNEL}", None)
            # After LISTEN, so that nothing can be committed unnoticed between the two.
            if not self._outlets:
                self._recent = Recent(newest_id(cursor))
        self._news_line = self._database.connection.fileno()
        self._selector.register(self._news_line, selectors.EVENT_READ, _NEWS)
        self._is_connected = self._has_news = self._jobs_may_run = True
        self._is_listening.set()

    def _lose(self, error: Exception) -> None:
        if self._is_connected:
            logger.warning("event streams lost the database: %s", str(error).partition("\n")[0])
        self._is_listening.clear()
        self._disconnect()

    def _disconnect(self) -> None:
        """Close the connection for real: back in the pool it would go on listening."""
        if self._is_connected:
            self._selector.unregister(self._news_line)
        self._is_connected = False
        if self._database.connection is not None:
            self._database.connection.close()
        self._database.close()

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        with self._database.cursor() as cursor:
            yield cursor
        # A notice that came with an answer wakes nobody: the socket has nothing more to read.
        self._hear()

    def _hear(self) -> None:
        """Take in the notices, and remember if one is about an event that was stored."""
        connection = self._database.connection
        with self._database.wrap_database_errors:
            heard = [notice.payload for notice in connection.notifies(timeout=0)]
            while notice := connection.pgconn.notifies():
                heard.append(notice.extra.decode())
        if any("id" in json.loads(payload) for payload in heard):
            self._has_news = True

    def _read_news(self) -> None:
        self._has_news = False
        with self._cursor() as cursor:
            entries = read(cursor, self._sight.scopes, after=self._recent.newest)
        self._recent.add(entries)
        self._has_news |= len(entries) == PAGE
        self._jobs_may_run |= any(entry.subject_type == "job" for entry in entries)
        if entries:
            for outlet in list(self._outlets):
                self._tell(outlet)

    # --- the clients -----------------------------------------------------------------------

    def _welcome(self) -> None:
        while self._arrivals:
            outlet = self._arrivals.pop()
            outlet.line.setblocking(False)
            self._outlets.add(outlet)
            self._selector.register(outlet.line, selectors.EVENT_READ, outlet)
            self._jobs_may_run = True
            self._last_progress.clear()
            self._lagging.add(outlet)
            self._send(outlet)

    def _attend(self, outlet: Outlet, mask: int) -> None:
        if outlet.is_closed:
            return
        if mask & selectors.EVENT_READ and outlet.is_left():
            self._close(outlet)
        elif mask & selectors.EVENT_WRITE:
            self._send(outlet)
            self._lagging.add(outlet)

    def _tell(self, outlet: Outlet) -> None:
        """Tell what comes next in the log, as far as there is room: a page at most of the old."""
        if outlet.is_closed:
            return
        if outlet.position < self._recent.begins_after:
            self._tell_of_old(outlet)
        if outlet.position >= self._recent.begins_after:
            for entry in self._recent.after(outlet.position):
                if not outlet.has_room:
                    break
                outlet.pass_by(entry)
        self._send(outlet)
        if outlet.position < self._recent.newest and outlet.has_room and not outlet.is_closed:
            self._lagging.add(outlet)

    def _tell_of_old(self, outlet: Outlet) -> None:
        until = self._recent.begins_after
        with self._cursor() as cursor:
            page = read(
                cursor,
                self._sight.scopes,
                after=outlet.position,
                until=until,
                job_id=outlet.asked.filter.job or None,
            )
        for entry in page:
            if not outlet.has_room:
                return
            outlet.pass_by(entry)
        if not page:
            outlet.position = until

    def _send(self, outlet: Outlet) -> None:
        try:
            outlet.send()
        except OSError:
            self._close(outlet)
            return
        if outlet.is_at_its_end(self._recent.newest):
            self._close(outlet)
            return
        wanted = selectors.EVENT_READ
        if outlet.is_behind_in_sending:
            wanted |= selectors.EVENT_WRITE
        if self._selector.get_key(outlet.line).events != wanted:
            self._selector.modify(outlet.line, wanted, outlet)

    def _close(self, outlet: Outlet) -> None:
        if outlet.is_closed:
            return
        outlet.is_closed = True
        self._outlets.discard(outlet)
        self._selector.unregister(outlet.line)
        outlet.line.close()
        self.release()

    # --- time --------------------------------------------------------------------------------

    def _do_what_time_makes_due(self) -> None:
        now = time.monotonic()
        if self._outlets and now >= self._beat_at:
            self._beat_at = now + settings.STREAM_HEARTBEAT
            self._beat()
        if self._outlets and self._is_connected and self._jobs_may_run and now >= self._progress_at:
            self._progress_at = now + settings.STREAM_PROGRESS_EVERY
            self._tell_progress()

    def _beat(self) -> None:
        """Let proxies and clients see that the stream lives, and notice who does not."""
        for outlet in list(self._outlets):
            if outlet.has_stalled(settings.STREAM_STALL):
                outlet.give_up()
                self._close(outlet)
            elif not outlet.is_behind_in_sending:
                outlet.add(_HEARTBEAT)
                self._send(outlet)

    def _tell_progress(self) -> None:
        with self._cursor() as cursor:
            running = self._sight.progress(cursor)
        self._jobs_may_run = bool(running)
        before = self._last_progress
        self._last_progress = {progress.job_id: progress.told for progress in running}
        changed = [
            (progress, event_lines("job.progress", progress.told))
            for progress in running
            if before.get(progress.job_id) != progress.told
        ]
        for outlet in list(self._outlets) if changed else ():
            # One that is still told of the past would see progress before its beginning.
            if outlet.position < self._recent.newest:
                continue
            for progress, lines in changed:
                if outlet.asked.filter.takes("job.progress", progress.job_id, progress.scope):
                    outlet.add(lines)
            self._send(outlet)
