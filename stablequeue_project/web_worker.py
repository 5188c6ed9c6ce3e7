"""gunicorn's threaded worker, which waits for no client forever, and lets event streams go.

A thread that reads a request waits for each byte without a limit. Clients that stop in the
middle, as a laptop that falls asleep does, would take one thread after another. So would
event streams, which never end by themselves: their connections are handed over.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any, ClassVar

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from events.handover import HandedOver, HandsOver


class ImpatientWorker(ThreadWorker):  # type: ignore[misc]
    """Ends the reading of requests that do not arrive in time; answers take as long as they take.

    What did not arrive looks as if the client had gone away.
    """

    head_patience: ClassVar[float] = 15.0
    """Seconds for the request line and the headers."""
    body_patience: ClassVar[float] = 120.0
    """Seconds for the body."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lock = threading.Lock()
        self._deadlines: dict[Any, float] = {}
        self._handed_over: set[Any] = set()

    def load_wsgi(self) -> None:
        """Load the application."""
        super().load_wsgi()
        # The same object again: the application is loaded once.
        self.wsgi: Any = HandsOver(self.app.wsgi())

    def handle(self, conn: Any) -> Any:
        """Read and answer one request, in a thread."""
        self._expect(conn, self.head_patience)
        try:
            return super().handle(conn)
        finally:
            self._expect(conn, None)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer a request whose head has arrived, in the same thread."""
        announced = dict(req.headers)
        has_body = announced.keys() & {"CONTENT-LENGTH", "TRANSFER-ENCODING"}
        self._expect(conn, self.body_patience if has_body else None)
        try:
            return super().handle_request(req, conn)
        except HandedOver:
            self._handed_over.add(conn)
            raise

    def finish_request(self, conn: Any, outcome: Any) -> None:
        """Keep or close a connection whose request was answered; in the main thread."""
        if conn not in self._handed_over:
            super().finish_request(conn, outcome)
            return
        self._handed_over.discard(conn)
        self.nr_conns -= 1
        # Our descriptor only. gunicorn would say goodbye to the client first.
        conn.close()

    def murder_pending(self) -> None:
        """Stop what is late too; gunicorn calls this every second."""
        super().murder_pending()
        now = time.monotonic()
        with self._lock:
            late = [conn for conn, deadline in self._deadlines.items() if deadline < now]
            for conn in late:
                del self._deadlines[conn]
                # Its thread reads the end of the stream; what it writes still goes out.
                with contextlib.suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RD)

    def _expect(self, conn: Any, patience: float | None) -> None:
        with self._lock:
            if patience is None:
                self._deadlines.pop(conn, None)
            else:
                self._deadlines[conn] = time.monotonic() + patience
