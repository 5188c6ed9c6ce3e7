"""Takes the connection of an event stream over from gunicorn, so that it ties up no thread."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from ssl import SSLSocket
from time import time
from typing import Any
from wsgiref.handlers import format_date_time

from django.http import StreamingHttpResponse

from events.hub import Hub
from events.outlet import Asked

Application = Callable[..., Iterable[bytes]]
StartResponse = Callable[..., Any]

_ELSEWHERE = b": This web server cannot hold event streams; gunicorn, which is ours, can.\n\n"


class EventStream(StreamingHttpResponse):
    """The answer to who asked for events; has a place reserved at the hub."""

    def __init__(self, hub: Hub, asked: Asked) -> None:
        # Proxies are asked not to collect it; browsers and caches not to keep it.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        kind = "text/event-stream; charset=utf-8"
        super().__init__((_ELSEWHERE,), content_type=kind, headers=headers)
        self._hub = hub
        self._asked = asked
        self._is_reserved = True

    def hold(self, line: socket.socket, head: bytes) -> None:
        """Let the hub tell the events over `line`, after the answer's head."""
        self._is_reserved = False
        self._hub.take(line, head, self._asked)

    def close(self) -> None:
        """End the request; the stream lives on if somebody holds it."""
        if self._is_reserved:
            self._is_reserved = False
            self._hub.release()
        super().close()


class HandsOver:
    """A WSGI application that lets its event streams leave the web server's threads."""

    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            told[:] = headers
            return start_response(status, headers, *more)

        answer = self._application(environ, start)
        line = environ.get("gunicorn.socket")
        # A socket that carries more than this one answer, or encrypts, cannot be duplicated.
        is_plain = "HTTP_VERSION" not in environ and not isinstance(line, SSLSocket)
        if isinstance(answer, EventStream) and line is not None and is_plain:
            return _Taken(answer, line, _head(told))
        return answer


class HandedOver(BrokenPipeError):
    """Somebody else has the connection. To gunicorn the client seems to have gone away: it
    writes nothing and logs nothing."""

    def __init__(self) -> None:
        super().__init__(errno.EPIPE, "the event stream is held elsewhere")


class _Taken:
    """What gunicorn gets instead of an answer."""

    def __init__(self, answer: EventStream, line: socket.socket, head: bytes) -> None:
        self._answer, self._line, self._head = answer, line, head

    def __iter__(self) -> Iterator[bytes]:
        self._answer.hold(self._line.dup(), self._head)
        raise HandedOver

    def close(self) -> None:
        self._answer.close()


def _head(headers: Iterable[tuple[str, str]]) -> bytes:
    """The head of an answer whose body ends with the connection."""
    ok = HTTPStatus.OK
    lines = [f"HTTP/1.1 {ok.value} {ok.phrase}", f"Date: {format_date_time(time())}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
