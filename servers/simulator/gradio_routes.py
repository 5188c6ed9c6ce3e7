"""The routes of Forge's page: its description, its queue, its pictures' way in and out."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from werkzeug.wrappers import Request, Response

from servers.simulator import parameters
from servers.simulator.answers import json_answer
from servers.simulator.errors import AbortedError, RefusalError, RunError
from servers.simulator.gradio_calls import PageCalls, WrongInputsError
from servers.simulator.gradio_page import Page, PageFunction
from servers.simulator.gradio_queue import Event, Message, PageQueue
from servers.simulator.parameters import Field

_JOIN = {
    "data": Field("list", nullable=False),
    "fn_index": Field("int"),
    "session_hash": Field("str"),
}
_LOST = {"msg": "unexpected_error", "event_id": None, "message": "", "success": False}


class PageRoutes:
    """What gradio answers for the page."""

    def __init__(self, page: Page, calls: PageCalls, *, heartbeat: float) -> None:
        self._page = page
        self._calls = calls
        self._listening: dict[str, socket.socket] = {}
        self.queue = PageQueue(self._call, heartbeat=heartbeat)

    def routes(self) -> dict[tuple[str, str], Callable[..., Response]]:
        """Answers by method and path."""
        return {
            ("GET", "/config"): self._config,
            ("GET", "/config/"): self._config,
            ("GET", "/app_id"): lambda _: json_answer({"app_id": self._page.app_id}),
            ("GET", "/queue/status"): self._status,
            ("POST", "/queue/join"): self._join,
            ("GET", "/queue/data"): self._data,
            ("POST", "/call/<name>"): self._simple_join,
            ("GET", "/call/<name>/<event_id>"): self._simple_data,
            ("POST", "/run/<name>"): self._run,
            ("POST", "/api/<name>"): self._run,
        }

    def _call(self, event: Event) -> list[Any]:
        return self._calls.call(event, self.queue)

    def _config(self, request: Request) -> Response:
        return json_answer(self._page.config(_root(request), request.environ.get("page.user")))

    def _status(self, _request: Request) -> Response:
        return json_answer({**_estimation(), "queue_size": self.queue.size})

    # --- the queue -------------------------------------------------------------------

    def _join(self, request: Request) -> Response:
        body = _read(request)
        if body["session_hash"] is None:
            raise RefusalError(400, "Session hash not found.")
        if body["fn_index"] is None:
            raise RefusalError(400, "No function index provided.")
        function = self._page.functions.get(body["fn_index"])
        if function is None:
            raise RunError("KeyError", str(body["fn_index"]))
        event = Event(function, body["data"], body["session_hash"], _root(request))
        return self._joined(event)

    def _simple_join(self, request: Request, name: str) -> Response:
        """The way for programs. The addresses of its pictures lead nowhere, as recorded."""
        function, body = self._named(name), _read(request)
        event = Event(function, body["data"], "", f"{_root(request)}/c")
        event.session = event.id
        return self._joined(event)

    def _joined(self, event: Event) -> Response:
        self._calls.arrive(event)
        event.cut_connection = lambda: self._cut(event.session)
        self.queue.join(event)
        return json_answer({"event_id": event.id})

    def _cut(self, session: str) -> None:
        if connection := self._listening.get(session):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _data(self, request: Request) -> Response:
        session_hash = request.args.get("session_hash")
        if session_hash is None:
            complaint = {
                "type": "missing",
                "loc": ["query", "session_hash"],
                "msg": "Field required",
                "input": None,
                "url": "https://errors.pydantic.dev/2.8/v/missing",
            }
            raise RefusalError(422, [complaint])

        def written(message: Message) -> str:
            return f"data: {_as_json(message)}\n\n"

        return self._stream(request, session_hash, written)

    def _simple_data(self, request: Request, name: str, event_id: str) -> Response:
        self._named(name)

        def written(message: Message) -> str:
            match message["msg"]:
                case "process_completed":
                    kind = "complete" if message["success"] else "error"
                    data = message["output"].get("data")
                case "heartbeat":
                    kind, data = "heartbeat", None
                case "unexpected_error":
                    kind, data = "error", message["message"]
                case _:
                    return ""
            return f"event: {kind}\ndata: {json.dumps(data)}\n\n"

        return self._stream(request, event_id, written)

    def _stream(
        self, request: Request, session_hash: str, written: Callable[[Message], str]
    ) -> Response:
        connection = request.environ.get("werkzeug.socket")
        is_gone = _hang_up_of(connection)
        if isinstance(connection, socket.socket):
            self._listening[session_hash] = connection

        def pieces() -> Iterator[bytes]:
            try:
                for message in self.queue.listen(session_hash, is_gone):
                    yield written(message).encode()
            except KeyError:
                yield written(_LOST).encode()
                raise AbortedError from None
            finally:
                self._listening.pop(session_hash, None)

        return Response(pieces(), content_type="text/event-stream; charset=utf-8")

    # --- beside the queue ------------------------------------------------------------

    def _run(self, request: Request, name: str) -> Response:
        """Do it at once and answer with the outcome, whoever waits in the page's queue."""
        function, body = self._named(name), _read(request)
        began = time.monotonic()
        try:
            output = self._call(Event(function, body["data"], "", _root(request)))
        except WrongInputsError:
            return json_answer({"error": None}, 500)
        seconds = time.monotonic() - began
        return json_answer(self.queue.timed(function, output, seconds))

    def _named(self, name: str) -> PageFunction:
        function = self._page.named(name)
        if function is None:
            raise RunError(
                "FnIndexInferError", f"Could not infer function index for API name: {name}"
            )
        return function


def _read(request: Request) -> dict[str, Any]:
    data = parameters.read_object(request.get_data())
    if "data" not in data:
        complaint = {
            "type": "missing",
            "loc": ["body", "data"],
            "msg": "Field required",
            "input": data,
            "url": "https://errors.pydantic.dev/2.8/v/missing",
        }
        raise RefusalError(422, [complaint])
    return parameters.read(request.get_data(), _JOIN)


def _estimation() -> dict[str, Any]:
    return {"msg": "estimation", "event_id": None, "rank": None, "rank_eta": None}


def _as_json(message: Message) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _root(request: Request) -> str:
    return request.host_url.rstrip("/")


def _hang_up_of(connection: Any) -> Callable[[], bool]:
    """Whether the other side has closed a connection."""

    def is_gone() -> bool:
        if not isinstance(connection, socket.socket):
            return False
        try:
            return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    return is_gone
