"""gunicorn's threaded worker, which waits for no client forever.

A thread that reads a request waits for each byte without a limit. Clients that stop in the
middle, as a laptop that falls asleep does, would take one thread after another.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import Any, ClassVar

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]


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
        return super().handle_request(req, conn)

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
