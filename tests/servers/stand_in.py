"""A stand-in for a Forge: an HTTP server whose every answer a test decides."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.servers.recordings import exchanges, picture

Behaviour = Callable[[BaseHTTPRequestHandler], None]

IDLE = {"job_count": 0, "job": "", "interrupted": False}
BUSY = {"job_count": 1, "job": "scripts_txt2img", "interrupted": False}
NOBODYS = {"active": False, "queued": False, "completed": False, "progress": None}
ACTIVE = {**NOBODYS, "active": True, "progress": 0.25}
QUEUED = {**NOBODYS, "queued": True, "textinfo": "In queue: 1/1"}


@dataclass
class StandIn:
    """`state` and `task` are what it says of itself and of any task id; `drawn` ends its run."""

    port: int
    state: dict[str, Any] = field(default_factory=lambda: dict(IDLE))
    task: dict[str, Any] = field(default_factory=lambda: dict(NOBODYS))
    drawn: threading.Event = field(default_factory=threading.Event)
    routes: dict[str, Behaviour] = field(default_factory=dict)
    requests: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, path: str) -> list[Any]:
        """The bodies of all requests to this path so far."""
        return [body for asked, body, _ in self.requests if asked == path]

    def is_drawing(self, task: dict[str, Any]) -> None:
        self.state, self.task = dict(BUSY), dict(task)

    def draw(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer with one recorded picture, once `drawn` is set."""
        self.drawn.wait(30)
        answer_json(a_generation())(handler)

    def interrupt(self, handler: BaseHTTPRequestHandler) -> None:
        """End the run, as Forge does: with a success."""
        self.state["interrupted"] = True
        self.drawn.set()
        answer_json({})(handler)


def a_generation() -> dict[str, Any]:
    ((_, response),) = exchanges("txt2img-minimal-complete-image")
    return {**response["body"], "images": [picture()]}


def answer_json(body: object, status: int = 200, **headers: str) -> Behaviour:
    return answer_bytes(json.dumps(body).encode(), status, **headers)


def answer_bytes(body: bytes, status: int = 200, **headers: str) -> Behaviour:
    def behave(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        length = headers.pop("content_length", str(len(body)))
        for name, value in {**headers, "content-length": length}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return behave


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


@contextlib.contextmanager
def stand_in() -> Iterator[StandIn]:
    forge: StandIn

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            sent = self.rfile.read(length)
            is_form = "form" in (self.headers.get("content-type") or "")
            body = sent.decode() if is_form else json.loads(sent or b"null")
            path = self.path.partition("?")[0]
            forge.requests.append((path, body, dict(self.headers)))
            nowhere = answer_json({"detail": "Not Found"}, 404)
            with contextlib.suppress(OSError):
                forge.routes.get(path, nowhere)(self)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    forge = StandIn(port=server.server_port)
    forge.routes = {
        "/sdapi/v1/progress": lambda handler: answer_json({"state": forge.state})(handler),
        "/internal/progress": lambda handler: answer_json(forge.task)(handler),
        "/sdapi/v1/txt2img": forge.draw,
        "/sdapi/v1/interrupt": forge.interrupt,
        "/sdapi/v1/sd-models": answer_json([]),
        "/sdapi/v1/sd-modules": answer_json([]),
    }
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield forge
    finally:
        forge.drawn.set()
        server.shutdown()
        server.server_close()
        thread.join()
