"""What stands in front of every view, since the pages need no login.

The attacker kept out here is a web page the user happens to visit: it can make the
browser send requests to any address of the home network. It can't choose the Host its
name leads to (HostGuard), hide where a change comes from (OriginGuard), or send JSON
without asking first (JsonOnly). Each refusal names the setting that would allow it, as a
reverse proxy is the usual reason.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import time
from collections.abc import Callable
from io import BytesIO

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import validate_host

from apikeys.origins import Origin, host_of, is_allowed_by_cors, is_own, origin_of, referer_of
from stablequeue_project.api.envelope import refusal
from stablequeue_project.api.route_access import access_at
from stablequeue_project.log_lines import one_line

logger = logging.getLogger(__name__)

GetResponse = Callable[[HttpRequest], HttpResponse]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class HostGuard:
    """Lets in only requests sent to an address of a home network, or to one that is set.

    A foreign name that leads to our address (DNS rebinding) makes a foreign page and us
    one origin for the browser. IP addresses and names of the home network can't be
    pointed at us by a stranger.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self._log = _SparseLog(seconds=10)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        host = host_of(request)
        if is_our_host(host):
            return self.get_response(request)
        self._log.warning(f"refused host {one_line(host)} from {request.META.get('REMOTE_ADDR')}")
        return refusal(
            request,
            "HOST_REFUSED",
            "StableQueue does not answer under this host name. "
            "If the name is yours, add it to STABLEQUEUE_HOSTS.",
        )


_HOME_NAME = re.compile(
    r"localhost|[a-z0-9-]+|(?:[a-z0-9-]+\.)+(?:local|lan|home|home\.arpa|internal|localhost)"
)


def is_our_host(header: str) -> bool:
    """Judge a Host header: IP literals, names of a home network, our own and the set ones.

    Exact in its grammar, so neither user info, nor a second host, nor a longer name that
    merely begins with ours gets through. One trailing dot and upper case change nothing.
    """
    parsed = Origin.parse(f"http://{header}")
    if parsed is None:
        return False
    host = parsed.host
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        own_names = [socket.gethostname().lower(), *settings.ALLOWED_EXTRA_HOSTS]
        return bool(_HOME_NAME.fullmatch(host)) or validate_host(host, own_names)
    return True


class OriginGuard:
    """Refuses what foreign pages send.

    Methods that change something must come from our own pages, from an allowed origin to
    an application route (where its key is judged), or from no browser at all. Reading is
    refused only where a browser names a foreign Origin, as it does for event streams.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if self._may_pass(request):
            return self.get_response(request)
        logger.warning(
            "refused %s, sent by a page of %s",
            one_line(f"{request.method} {request.path}"),
            one_line(request.META.get("HTTP_ORIGIN") or request.META.get("HTTP_REFERER", "?")),
        )
        return refusal(
            request,
            "ORIGIN_REFUSED",
            "Another web page may not do this. If the page is StableQueue behind a reverse "
            "proxy, add the proxy's address to STABLEQUEUE_ORIGINS.",
        )

    def _may_pass(self, request: HttpRequest) -> bool:
        origin = origin_of(request)
        safe = request.method in SAFE_METHODS
        if origin is not None and not is_own(origin, request):
            open_classes = {"application", "media"} if safe else {"application"}
            return is_allowed_by_cors(origin) and access_at(request.path_info) in open_classes
        if safe:
            return True
        referer = referer_of(request)
        if origin is None and referer is not None and not is_own(referer, request):
            return False
        return request.headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}


class BodyCap:
    """Refuses bodies over the limit before anything reads them, and reads chunked ones itself."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        limit: int = settings.MAX_BODY_BYTES
        if _content_length(request) > limit:
            return self._too_large(request, limit)
        if request.META.get("HTTP_TRANSFER_ENCODING"):
            if not request.META.get("wsgi.input_terminated"):
                return refusal(request, "LENGTH_REQUIRED", "Send the body with a Content-Length.")
            try:
                body = _read_up_to(limit + 1, request)
            except OSError:
                return refusal(request, "BROKEN_JSON", "The body ended before its last chunk.")
            if len(body) > limit:
                return self._too_large(request, limit)
            _replace_body(request, body)
        return self.get_response(request)

    def _too_large(self, request: HttpRequest, limit: int) -> HttpResponse:
        asked = one_line(f"{request.method} {request.path}")
        logger.warning("refused %s: body over %d bytes", asked, limit)
        mebibytes = limit // (1024 * 1024)
        return refusal(request, "BODY_TOO_LARGE", f"A request's body has at most {mebibytes} MiB.")


def _content_length(request: HttpRequest) -> int:
    text = str(request.META.get("CONTENT_LENGTH") or "0")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _read_up_to(limit: int, request: HttpRequest) -> bytes:
    """Read at most `limit` bytes of a body whose end the WSGI server knows."""
    pieces: list[bytes] = []
    missing = limit
    while missing and (piece := request.META["wsgi.input"].read(min(missing, 65536))):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _replace_body(request: HttpRequest, body: bytes) -> None:
    """Hand the views a body that was read here.

    Django reads nothing from a request without Content-Length, so a chunked body would
    look empty; it has no public way to set one.
    """
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = BytesIO(body)


class JsonOnly:
    """Refuses changes under /api/ that are not JSON.

    The types a form can send are refused even without a body: with them a foreign page
    may post without the browser asking first. No body and no type is fine.
    """

    _FORM_TYPES = frozenset(
        {"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}
    )

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.method in SAFE_METHODS or not request.path_info.startswith("/api/"):
            return self.get_response(request)
        sent = request.content_type or ""
        has_body = _content_length(request) > 0
        if sent in self._FORM_TYPES or (has_body and sent != "application/json"):
            asked = one_line(f"{request.method} {request.path}")
            logger.info("refused %s: content type %s", asked, one_line(sent) or "missing")
            return refusal(
                request, "NOT_JSON", "Send the body with Content-Type: application/json."
            )
        return self.get_response(request)


class _SparseLog:
    """Writes at most one warning per `seconds` and says how many it left out."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0
        self._left_out = 0

    def warning(self, text: str) -> None:
        now = time.monotonic()
        if now < self._next:
            self._left_out += 1
            return
        logger.warning("%s (%d more not logged)", text, self._left_out)
        self._next, self._left_out = now + self._seconds, 0
