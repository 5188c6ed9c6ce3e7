"""The WSGI application: finds the route, takes a worker thread, turns errors into answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from servers.simulator.answers import failed, json_answer, refused
from servers.simulator.control import PREFIX
from servers.simulator.errors import RefusalError, RunError
from servers.simulator.flavours import Flavour
from servers.simulator.switchboard import AnyPath

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

WORKER_THREADS = 40
"""Forge answers every route from one pool of this size, and a waiting job holds a thread."""


class Application:
    """All routes of one simulated Forge."""

    def __init__(self, rules: Iterable[Rule], flavour: Flavour) -> None:
        self._flavour = flavour
        self._map = Map(rules, converters={"path": AnyPath}, merge_slashes=False)
        self._workers = threading.BoundedSemaphore(WORKER_THREADS)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith(PREFIX):
            return self._answer(request)(environ, start_response)
        began = time.monotonic()
        with self._workers:
            answer = self._answer(request)
        if self._flavour.tells_time:
            answer.headers["X-Process-Time"] = str(round(time.monotonic() - began, 4))
        return answer(environ, start_response)

    def _answer(self, request: Request) -> Response:
        """Raises AbortedError if the simulator stops meanwhile: then there is no answer."""
        try:
            endpoint, values = self._map.bind_to_environ(request.environ).match()
            answer: Response = endpoint(request, **values)
            return answer
        except NotFound:
            return json_answer({"detail": "Not Found"}, 404)
        except MethodNotAllowed as error:
            answer = json_answer({"detail": "Method Not Allowed"}, 405)
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
            return answer
        except RefusalError as error:
            return refused(error, self._flavour)
        except RunError as error:
            return failed(error, self._flavour)
