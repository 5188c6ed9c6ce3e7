"""What both ways of talking to a Forge share: its routes, its passwords, its progress.

`/internal/progress` is there with and without --api, asks for no password and knows tasks of
both ways, the API's and the page's.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from servers.forge_door import PageDoor
from servers.forge_line import Credentials, Line, PeerGuard
from servers.forge_refusals import Reply
from servers.forge_replies import Progress, read_progress, read_saved_picture
from servers.forge_timing import Timing

QUESTION_BYTES = 32 * 1024 * 1024


class NotOursNow(Exception):
    """An order that stops whatever runs would not hit our own task."""


class Wire:
    """The exchanges with one Forge. Holds no connection between them.

    `credentials` go to the `/sdapi` routes, the only ones that ask for HTTP Basic;
    `page_credentials` are the page's login. `guard` judges the address a name has led to.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: Credentials | None,
        page_credentials: Credentials | None,
        timing: Timing,
        guard: PeerGuard | None,
    ) -> None:
        self.address = address
        self.timing = timing
        self._credentials = credentials
        self._guard = guard
        self._door = PageDoor(self.line, page_credentials, patience=timing.answer)

    def line(self, before_sending: Callable[[], object] = lambda: None) -> Line:
        """A connection for one exchange; `before_sending` is called once it is made."""
        return Line(
            self.address,
            connect=self.timing.connect,
            guard=self._guard,
            before_sending=before_sending,
        )

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        line: Line | None = None,
    ) -> Reply:
        """Exchange a question and its answer on a route of the API, or an open one."""
        return self.send(
            line or self.line(),
            method,
            path,
            body=None if body is None else json.dumps(body).encode(),
            deadline=self.timing.answer,
            max_bytes=QUESTION_BYTES,
        )

    def send(self, line: Line, method: str, path: str, **options: Any) -> Reply:
        """Exchange on `line`, with the API's password where it is asked for."""
        credentials = self._credentials if path.startswith("/sdapi/") else None
        return line.exchange(method, path, credentials=credentials, **options)

    def ask_page(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        deadline: float | None = None,
        open_line: Callable[[], Line] | None = None,
        on_bytes: Callable[[bytes], object] = lambda _: None,
    ) -> Reply:
        """Exchange a question and its answer on a route of the page, logged in if need be."""
        return self._door.exchange(
            method,
            path,
            body=None if body is None else json.dumps(body, allow_nan=False).encode(),
            deadline=deadline or self.timing.answer,
            max_bytes=QUESTION_BYTES,
            open_line=open_line,
            on_bytes=on_bytes,
        )

    def picture(self, path: str, max_bytes: int) -> bytes:
        """Fetch a picture from Forge's disk. Raises ForgeError unless it is a whole PNG."""
        reply = self._door.exchange(
            "GET",
            f"/file={quote(path, safe='/')}",
            deadline=self.timing.file,
            max_bytes=max(max_bytes, 0),
        )
        return read_saved_picture(reply)

    def progress(self, task_id: str, *, preview: bool = False, preview_id: int = -1) -> Progress:
        """Ask how a task stands.

        With `preview` the answer may carry a picture, if there is a newer one than `preview_id`.
        """
        question = {"id_task": task_id, "live_preview": preview, "id_live_preview": preview_id}
        return read_progress(self.ask("POST", "/internal/progress", question))

    def require_stoppable(self, task_id: str) -> None:
        """Raise NotOursNow if an interrupt would not, or not surely, stop this very task."""
        asked_at = time.monotonic()
        progress = self.progress(task_id)
        ends_soon = progress.eta is not None and progress.eta < self.timing.not_worth_stopping
        is_news = time.monotonic() - asked_at < self.timing.check_holds
        if progress.state != "active" or ends_soon or not is_news:
            raise NotOursNow


class OnWire:
    """A client of one Forge, in whichever way it talks to it.

    `address` is a base URL like `http://192.168.1.100:7860`. Holds no connection between calls;
    may be used by several threads. For the rest see `Wire`.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: Credentials | None = None,
        page_credentials: Credentials | None = None,
        timing: Timing | None = None,
        guard: PeerGuard | None = None,
    ) -> None:
        self.address = address
        self.timing = timing or Timing()
        self._wire = Wire(
            address,
            credentials=credentials,
            page_credentials=page_credentials,
            timing=self.timing,
            guard=guard,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r})"
