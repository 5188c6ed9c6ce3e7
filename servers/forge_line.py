"""One HTTP exchange with a Forge: its own connection, a deadline, a byte cap.

No redirects, no proxies or credentials from the environment, no decompression, no reuse of
connections: so an error always says whether anything was sent, and what was answered is
what came over the wire.
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import exceptions
from urllib3.connection import HTTPConnection, HTTPSConnection

from servers.foreign_data import one_line
from servers.forge_errors import ForgeBadReply, ForgeConnectionLost, ForgeUnreachable
from servers.forge_refusals import Reply

PeerGuard = Callable[[str, str, int], str | None]
"""Asked with our own address, the peer's address and its port; a sentence refuses the peer."""

_CHUNK = 256 * 1024

# Notices in about half a minute that the other machine has vanished.
_SOCKET_OPTIONS = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
] + [
    (socket.IPPROTO_TCP, getattr(socket, name), value)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))
    if hasattr(socket, name)
]


@dataclass(frozen=True)
class Credentials:
    """A user name and password for HTTP Basic authentication; never shown."""

    username: str = field(repr=False)
    password: str = field(repr=False)

    @property
    def pair(self) -> tuple[bytes, bytes]:
        return self.username.encode(), self.password.encode()

    def scrub(self, body: bytes) -> bytes:
        """Take the secret out of a text that a server may have echoed it into."""
        username, password = self.pair
        secrets = (
            base64.b64encode(username + b":" + password),
            password,
            json.dumps(self.password)[1:-1].encode(),
        )
        for secret in filter(None, secrets):
            body = body.replace(secret, b"***")
        return body


class Line:
    """A connection to the server at `address`, good for one exchange.

    Another thread may `cut` it at any time; the exchange then ends with an error, or never
    begins. `before_sending` is called once connected; what it raises keeps the request from
    leaving. Times are in seconds.
    """

    def __init__(
        self,
        address: str,
        *,
        connect: float,
        guard: PeerGuard | None = None,
        before_sending: Callable[[], object] = lambda: None,
    ) -> None:
        self.address = address
        self._connect_timeout = connect
        self._guard = guard
        self._before_sending = before_sending
        self._socket: socket.socket | None = None
        self._is_cut = threading.Event()

    def exchange(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        max_bytes: int,
        body: bytes | None = None,
        credentials: Credentials | None = None,
        headers: Mapping[str, str] | None = None,
        on_bytes: Callable[[bytes], object] = lambda _: None,
    ) -> Reply:
        """Send one request, with these headers too, and read its whole answer.

        A body is JSON, unless `headers` say otherwise. `on_bytes` is shown the answer's pieces
        as they come.

        Raises ForgeUnreachable before anything was sent, ForgeConnectionLost after that, and
        ForgeBadReply for an answer that is too large or compressed.
        """
        session = requests.Session()
        session.trust_env = False
        session.mount(self.address, _Adapter(self))
        # The read time-out of a socket starts anew with every byte; this ends a slow drip too.
        alarm = threading.Timer(deadline, self.cut)
        alarm.daemon = True
        alarm.start()
        try:
            with session.request(
                method,
                self.address + path,
                data=body,
                headers={**_headers(body), **(headers or {})},
                auth=credentials.pair if credentials else None,  # type: ignore[arg-type]  # bytes
                timeout=(self._connect_timeout, deadline),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = self._read(response, max_bytes, on_bytes)
                cookies = tuple((cookie.name, cookie.value or "") for cookie in response.cookies)
        except requests.RequestException as error:
            raise self._loss(deadline) from error
        finally:
            alarm.cancel()
            session.close()
        if credentials and response.status_code != 200:
            content = credentials.scrub(content)
        wait = response.headers.get("retry-after", "")
        return Reply(self.address, response.status_code, content, cookies, retry_after=wait)

    def _loss(self, deadline: float) -> ForgeConnectionLost:
        if self._is_cut.is_set():
            return ForgeConnectionLost(
                f"{self.address} gave no whole answer within {deadline:g} seconds."
            )
        return ForgeConnectionLost(
            f"{self.address} closed the connection before its answer was complete."
        )

    def cut(self) -> None:
        """Close the connection under a running exchange, and forbid a later one."""
        self._is_cut.set()
        if self._socket is not None:
            # Already closed or not yet encrypted: then there is nothing to wake.
            with contextlib.suppress(OSError, ValueError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def judge(self, peer: socket.socket) -> None:
        """Refuse a peer that is no place for a Forge, before anything is sent to it.

        Asked here and not by name, since a name may lead elsewhere at the next look-up.
        """
        ours, theirs = peer.getsockname()[0], peer.getpeername()
        refusal = self._guard(ours, theirs[0], theirs[1]) if self._guard else None
        if refusal:
            raise ForgeUnreachable(f"{self.address} is not asked: {refusal}")

    def carried_by(self, connected: socket.socket) -> None:
        """Remember the socket that is about to carry the request."""
        self._socket = connected
        if self._is_cut.is_set():
            raise ForgeUnreachable(f"The request to {self.address} was withdrawn.")
        self._before_sending()

    def _read(
        self, response: requests.Response, max_bytes: int, on_bytes: Callable[[bytes], object]
    ) -> bytes:
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise ForgeBadReply(f"{self.address} answered compressed, which was not asked for.")
        content = bytearray()
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            on_bytes(chunk)
            if len(content) > max_bytes:
                raise ForgeBadReply(f"{self.address} answered with more than {max_bytes} bytes.")
        return bytes(content)


class _Adapter(HTTPAdapter):
    """Makes the connections of one Line."""

    def __init__(self, line: Line) -> None:
        self._line = line
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        kind = _TlsConnection if pool.scheme == "https" else _Connection
        pool.ConnectionCls = partial(kind, line=self._line)
        return pool


class _Connection(HTTPConnection):
    """A connection that shows its socket to a Line and says plainly why it cannot connect."""

    def __init__(self, *args: Any, line: Line, **options: Any) -> None:
        super().__init__(*args, **{**options, "socket_options": _SOCKET_OPTIONS})
        self._line = line

    def _new_conn(self) -> socket.socket:
        peer = super()._new_conn()
        try:
            self._line.judge(peer)
        except (ForgeUnreachable, OSError):
            peer.close()
            raise
        return peer

    def connect(self) -> None:
        try:
            super().connect()
        except (exceptions.HTTPError, OSError) as error:
            raise ForgeUnreachable(
                f"{self._line.address} cannot be reached: {_why(error)}."
            ) from error
        self._line.carried_by(self.sock)


class _TlsConnection(_Connection, HTTPSConnection):
    """The same, encrypted."""


def _why(error: Exception) -> str:
    if isinstance(error, exceptions.NameResolutionError):
        return "no machine has that name"
    if isinstance(error, ssl.SSLError | exceptions.SSLError):
        return "its TLS certificate or protocol is not accepted"
    # urllib3 wraps the system's own error, and counts it as a kind of time-out.
    cause = error.__cause__ if isinstance(error, exceptions.NewConnectionError) else error
    if isinstance(cause, exceptions.ConnectTimeoutError | TimeoutError):
        return "no answer; the machine may be off or asleep"
    reason = cause.strerror if isinstance(cause, OSError) else None
    return one_line(reason or "no connection").lower()


def _headers(body: bytes | None) -> dict[str, str | bytes]:
    headers: dict[str, str | bytes] = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "StableQueue",
    }
    return headers if body is None else {**headers, "Content-Type": "application/json"}
