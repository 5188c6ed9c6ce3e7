"""A server that answers as one recording of a real Forge says, in the recorded order."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from PIL import Image

from tests.servers.recordings import Exchange, exchanges

PATIENCE = 3.0
"""Seconds that a drawing waits until the polls recorded before its end were asked for."""

GENERATIONS = ("/sdapi/v1/txt2img", "/sdapi/v1/img2img")
_USUAL = ("get-progress-idle-skip-image", "internal-progress-unknown-id", "get-sd-modules")
"""What is asked beside the recorded: of a Forge that does nothing at all."""


class Replay:
    """The answers of a recording, by method and path; the last one of each stays.

    Of several generations in a recording it answers with number `post`, and only polls about
    that one. `start` is where in the recording it begins.
    """

    def __init__(self, name: str, *, post: int = 0, start: int = 0) -> None:
        recorded = exchanges(name)[start:]
        posts = [
            pair
            for pair in recorded
            if pair[0]["method"] == "POST" and pair[0]["path"] in GENERATIONS
        ]
        self.generation = posts[post] if posts else None
        self._usual = {
            _key(*_asked(pair)[:2], None): [pair] for usual in _USUAL for pair in exchanges(usual)
        }
        gone = [pair for pair in recorded if pair[1]["status"] == 404]
        self._usual |= {_key(*_asked(pair)[:2], None): [pair] for pair in gone}
        self._asked: set[str] = set()
        self._answers: dict[str, list[Exchange]] = {}
        for pair in recorded:
            if pair not in posts:
                self._answers.setdefault(_key(*_asked(pair)), []).append(pair)
        self._say_busy_first()
        if self.generation:
            self._answers[_key(*_asked(self.generation))] = [self.generation]
        self._lock = threading.Lock()

    @property
    def wish(self) -> dict[str, Any]:
        """The body that was sent for the generation, if it was any."""
        body = self.generation[0].get("body") if self.generation else None
        return body if isinstance(body, dict) else {}

    @property
    def task_id(self) -> str:
        return str(self.wish.get("force_task_id") or "t-ours")

    def answer(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        if path in GENERATIONS:
            self._wait_for_the_polls()
        with self._lock:
            key = _key(method, path, body)
            self._asked.add(key)
            waiting = self._answers.get(key) or self._usual.get(_key(method, path, None))
            if waiting is None:
                return 404, b'{"detail":"Not Found"}'
            _, response = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return response["status"], json.dumps(with_pictures(response.get("body"))).encode()

    def _is_through(self, poll: str) -> bool:
        recorded = self._answers.get(poll, [])
        return not recorded or (poll in self._asked and len(recorded) == 1)

    def _say_busy_first(self) -> None:
        """Where Forge as a whole was asked later than our task, it was drawing before."""
        whole = self._answers.get(_key("GET", "/sdapi/v1/progress", None))
        ours = self._answers.get(f"POST /internal/progress {self.task_id}", [])
        if whole and len(ours) > len(whole):
            busy = exchanges("progress-while-running", "/sdapi/v1/progress")[0]
            whole[:0] = [busy] * (len(ours) - len(whole))

    def _wait_for_the_polls(self) -> None:
        """A generation ends after all that was seen of it before its end."""
        polls = (_key("GET", "/sdapi/v1/progress", None), f"POST /internal/progress {self.task_id}")
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            with self._lock:
                if all(self._is_through(poll) for poll in polls):
                    return
            time.sleep(0.005)


def with_pictures(body: Any) -> Any:
    """Put pictures of the recorded format and size where only that was recorded of them."""
    if isinstance(body, dict) and body.get("__base64__"):
        file = io.BytesIO()
        Image.new("RGB", tuple(body["size"])).save(file, body["format"])
        return base64.b64encode(file.getvalue()).decode()
    if isinstance(body, dict):
        return {key: with_pictures(item) for key, item in body.items()}
    return [with_pictures(item) for item in body] if isinstance(body, list) else body


def _asked(pair: Exchange) -> tuple[str, str, Any]:
    return pair[0]["method"], pair[0]["path"], pair[0].get("body")


def _key(method: str, path: str, body: Any) -> str:
    path = path.partition("?")[0]
    task = body.get("id_task") if path == "/internal/progress" and isinstance(body, dict) else None
    return f"{method} {path} {task}" if task else f"{method} {path}"


class Answering(Protocol):
    """What can be served."""

    def answer(self, method: str, path: str, body: Any) -> tuple[int, bytes]: ...


@contextlib.contextmanager
def replaying(replay: Answering) -> Iterator[str]:
    """Serve it; the value is the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length") or 0))
            body = json.loads(sent) if sent[:1] in (b"{", b"[") else None
            status, answer = replay.answer(self.command, self.path, body)
            with contextlib.suppress(OSError):
                self.send_response(status)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
