"""Somebody who is called: an HTTP server that keeps what came and answers as it is told."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook


@dataclass(frozen=True)
class Call:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """What it says, if the official library finds the signature right."""
        return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """Answers with `statuses` in turn, then with the last of them for ever."""

    def __init__(self, *statuses: int, **headers: str) -> None:
        self.statuses = list(statuses) or [204]
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.calls: list[Call] = []
        self.may_answer = threading.Event()
        self.may_answer.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                named = {name.lower(): value for name, value in self.headers.items()}
                receiver.calls.append(Call(self.path, named, body))
                receiver.may_answer.wait(20)
                left = receiver.statuses
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hook?who=me"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
