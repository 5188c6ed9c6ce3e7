"""HTTP answers in the shape Forge's web framework gives them, and broken ones on demand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from werkzeug.wrappers import Response

from servers.simulator.errors import AbortedError, PlainRunError, RefusalError, RunError
from servers.simulator.faults import Fault
from servers.simulator.flavours import Flavour

_LOGIN_PAGE = "<!doctype html><html><body><h1>Sign in to your router</h1></body></html>"
_DRIPS = 50


def json_answer(value: Any, status: int = 200) -> Response:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return Response(text, status, content_type="application/json")


def refused(error: RefusalError, flavour: Flavour) -> Response:
    if flavour.wraps_refusals:
        body = {"error": "HTTPException", "detail": error.detail, "body": ""}
        return json_answer({**body, flavour.error_text: ""}, error.status)
    answer = json_answer({"detail": error.detail}, error.status)
    if error.challenge:
        answer.headers["WWW-Authenticate"] = error.challenge
    return answer


def failed(error: RunError, flavour: Flavour) -> Response:
    """The answer to an exception inside a run."""
    if isinstance(error, PlainRunError):
        return Response("Internal Server Error", 500, content_type="text/plain; charset=utf-8")
    body = {"error": error.error, "detail": "", "body": "", flavour.error_text: error.message}
    return json_answer(body, 500)


def broken(answer: Response, fault: Fault | None) -> Response:
    """The same answer as `fault` lets it arrive."""
    body = answer.get_data()
    match fault.kind if fault else None:
        case "not_json":
            return Response("this is not JSON", content_type="application/json")
        case "html":
            return Response(_LOGIN_PAGE, content_type="text/html; charset=utf-8")
        case "truncate":
            return _piecewise(_first_half(body), len(body))
        case "drip" if fault:
            return _piecewise(_slowly(body, fault.seconds), len(body))
        case _:
            return answer


def _piecewise(pieces: Iterator[bytes], length: int) -> Response:
    headers = {"Content-Length": str(length)}
    return Response(pieces, headers=headers, content_type="application/json")


def _first_half(body: bytes) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    raise AbortedError


def _slowly(body: bytes, seconds: float) -> Iterator[bytes]:
    size = max(1, len(body) // _DRIPS)
    for start in range(0, len(body), size):
        yield body[start : start + size]
        time.sleep(seconds / _DRIPS)
