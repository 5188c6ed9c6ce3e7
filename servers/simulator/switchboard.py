"""Which routes a Forge has, by the way it was started and the time since then.

Its page's routes exist as soon as the port is open; its own and the API's come later, and
those of extensions last (webui.py of Forge).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from werkzeug.routing import BaseConverter, Rule
from werkzeug.wrappers import Request, Response

from servers.simulator.answers import json_answer
from servers.simulator.errors import RefusalError
from servers.simulator.launch import Launch
from servers.simulator.login import Login

Answer = Callable[..., Response]
"""Called with the request and the values in its path."""
Routes = dict[tuple[str, str], Answer]
"""Answers by method and path."""

Kind = Literal["page", "internal", "api", "extension"]

_EXTENSIONS = (
    "/sdapi/v1/loras",
    "/sdapi/v1/refresh-loras",
    "/controlnet/",
    "/sd_extra_networks/",
)


class AnyPath(BaseConverter):
    """The rest of the address, slashes at its beginning included."""

    regex = ".*"
    part_isolating = False


@dataclass
class Switchboard:
    """The routes of one start of a Forge."""

    launch: Launch
    login: Login
    _opened_at: float = field(default=0.0, init=False)

    def opened(self) -> None:
        """The port is open: the start-up window begins."""
        self._opened_at = time.monotonic()

    def rules(self, routes: Routes) -> list[Rule]:
        """The routing table of those of `routes` that exist, each behind its guard."""
        present = {
            (method, path): answer
            for (method, path), answer in {**routes, **self._always()}.items()
            if self._exists(kind_of(path)) and path not in self.launch.family.lacks_routes
        }
        present["GET", "/openapi.json"] = _described(present)
        return [
            Rule(
                path,
                endpoint=self._when_ready(kind_of(path), self.login.guarded(path, answer)),
                methods=[method],
            )
            for (method, path), answer in present.items()
        ]

    def _exists(self, kind: Kind) -> bool:
        match kind:
            case "extension":
                return True
            case "api":
                return self.launch.api or self.launch.nowebui
            case _:
                return not self.launch.nowebui

    def _when_ready(self, kind: Kind, answer: Answer) -> Answer:
        waits = {"page": 0.0, "extension": 2.0}.get(kind, 1.0) * self.launch.startup_seconds
        if not waits:
            return answer

        def answered(request: Request, **values: Any) -> Response:
            if time.monotonic() - self._opened_at < waits:
                raise RefusalError(404, "Not Found")
            return answer(request, **values)

        return answered

    def _always(self) -> Routes:
        """What a browser asks the page for, and what nothing here depends on."""
        return {
            ("GET", "/"): self._front_page,
            ("POST", "/login"): self.login.log_in,
            ("GET", "/login_check"): lambda _: json_answer(None),
            ("GET", "/startup-events"): lambda _: json_answer(False),
            ("GET", "/info"): lambda _: json_answer(_NO_ENDPOINTS),
            ("GET", "/theme.css"): lambda _: Response(":root {}", mimetype="text/css"),
        }

    def _front_page(self, _request: Request) -> Response:
        said = f"StableQueue's Forge simulator, as {self.launch.family.version}. It has no page."
        html = f"<!doctype html><p>{said}</p>\n"
        return Response(html, content_type="text/html; charset=utf-8")


def kind_of(path: str) -> Kind:
    """Whose route it is."""
    if path.startswith(_EXTENSIONS):
        return "extension"
    if path.startswith("/sdapi/"):
        return "api"
    return "internal" if path.startswith("/internal/") else "page"


def _described(routes: Routes) -> Answer:
    paths: dict[str, dict[str, Any]] = {}
    for method, path in routes:
        paths.setdefault(path, {})[method.lower()] = {}
    description = {"openapi": "3.1.0", "info": {"title": "FastAPI", "version": "0.1.0"}}
    return lambda _: json_answer({**description, "paths": paths, "components": {}})


_NO_ENDPOINTS: dict[str, Any] = {"named_endpoints": {}, "unnamed_endpoints": {}}
