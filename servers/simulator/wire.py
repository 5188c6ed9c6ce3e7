"""HTTP/1.1 with kept connections, and the ways a machine on a network goes away.

Werkzeug's own handler closes the connection after each answer; Forge's server keeps it,
and clients come to depend on that.
"""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from servers.simulator.errors import AbortedError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

MAX_BODY = 64 * 1024 * 1024
_POLL = 0.02


class _Handler(WSGIRequestHandler):
    """One connection: one request after the other until either side closes it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    """Headers and body are two writes; without this each answer waits 40 ms for the other's ACK."""
    server: _Server
    _chunked = False

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        body = environ["wsgi.input"].read(_length(environ))
        if len(body) > MAX_BODY:
            self.close_connection = True
            self.send_error(413)
            return
        environ["wsgi.input"] = io.BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        self.server.busy(self.connection, True)
        try:
            self._send(self.server.app(environ, self._start_response))
        except AbortedError:
            self.close_connection = True
        finally:
            self.server.busy(self.connection, False)
        self.close_connection = self.close_connection or self.server.closed

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], _exc_info: Any = None, /
    ) -> Any:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        has_length = any(name.lower() == "content-length" for name, _ in headers)
        self._chunked = not has_length and self.command != "HEAD" and int(code) not in (204, 304)
        if self._chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        return self.wfile.write

    def _send(self, pieces: Iterable[bytes]) -> None:
        try:
            for piece in pieces:
                if self._chunked and piece:
                    piece = b"%x\r\n%b\r\n" % (len(piece), piece)
                self.wfile.write(piece)
            if self._chunked:
                self.wfile.write(b"0\r\n\r\n")
        finally:
            if isinstance(pieces, _Closing):
                pieces.close()

    def version_string(self) -> str:
        return "uvicorn"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 (werkzeug's name)
        """The journal tells what happened; requests are not logged."""


@runtime_checkable
class _Closing(Protocol):
    def close(self) -> None: ...


class _Server(ThreadedWSGIServer):
    """Knows its connections, so that it can drop them."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, app: WSGIApplication, listening: socket.socket) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(host, port, app, _Handler, fd=listening.fileno())
        self.closed = False
        self._connections: dict[socket.socket, bool] = {}
        self._lock = threading.Lock()

    def busy(self, connection: socket.socket, is_busy: bool) -> None:
        with self._lock:
            if connection in self._connections:
                self._connections[connection] = is_busy

    def drop_connections(self, *, idle_only: bool) -> None:
        with self._lock:
            dropped = [c for c, busy in self._connections.items() if not (idle_only and busy)]
        for connection in dropped:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections[request] = False
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is no news here; anything else is a bug and is shown."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Listener:
    """A port that can be opened, closed for a while, and opened again."""

    def __init__(self, app: WSGIApplication, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self.port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def open(self) -> None:
        """Begin to listen. With port 0 a free one is taken and kept. Raises OSError."""
        with self._lock, socket.create_server((self._host, self.port)) as listening:
            self.port = listening.getsockname()[1]
            self._server = server = _Server(self._app, listening)
            self._thread = threading.Thread(
                target=server.serve_forever, args=(_POLL,), name="forge-simulator", daemon=True
            )
            self._thread.start()

    def close(self, *, idle_only: bool = False) -> None:
        """Stop listening and drop connections: all, or those that wait for no answer."""
        with self._lock:
            if self._server is None or self._thread is None:
                return
            self._server.closed = True
            self._server.shutdown()
            self._thread.join()
            self._server.drop_connections(idle_only=idle_only)
            self._server = self._thread = None


def _length(environ: dict[str, Any]) -> int:
    """Bytes of the body to read, never more than one above the cap."""
    if environ.get("wsgi.input_terminated"):
        return MAX_BODY + 1
    said = str(environ.get("CONTENT_LENGTH") or "0")
    return min(int(said), MAX_BODY + 1) if said.isdecimal() else 0
