"""Where a request comes from: scheme, host and port, as browsers tell them.

Reads Host, Origin and Referer and nothing a proxy adds: a header anybody can send
decides nothing here. Addresses of a reverse proxy are named in settings instead.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::(?P<port>\d{1,5}))?"
)
_START_OF_URL = re.compile(r"[a-z]+://[^/?#]*", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Origin:
    """A web address without its path, in one spelling: `HTTP://Nas.local.:80` is `http://nas.local`."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        """Read `scheme://host[:port]`; None for anything else, `null` included."""
        found = _ORIGIN.fullmatch(text.lower())
        if not found:
            return None
        port = int(found["port"]) if found["port"] else _DEFAULT_PORTS[found["scheme"]]
        if not 0 < port < 65536:
            return None
        return cls(found["scheme"], found["host"].removesuffix("."), port)

    def __str__(self) -> str:
        """Write it as browsers do: without the port a scheme has anyway."""
        port = "" if self.port == _DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


FOREIGN = Origin("unknown", "", 0)
"""Stands for an Origin or Referer that is there but can't be understood: it equals no other."""


def host_of(request: HttpRequest | Request) -> str:
    """Return the Host header as sent; the server's own name if a client of HTTP/1.0 sent none."""
    meta = request.META
    if "HTTP_HOST" in meta:
        return str(meta["HTTP_HOST"])
    return f"{meta['SERVER_NAME']}:{meta['SERVER_PORT']}"


def origin_of(request: HttpRequest | Request) -> Origin | None:
    """Return the Origin header, None if there is none."""
    text = request.META.get("HTTP_ORIGIN")
    return None if text is None else Origin.parse(text) or FOREIGN


def referer_of(request: HttpRequest | Request) -> Origin | None:
    """Return the origin of the Referer header, None if there is none."""
    text = request.META.get("HTTP_REFERER")
    if not text:
        return None
    start = _START_OF_URL.match(text)
    return (Origin.parse(start[0]) if start else None) or FOREIGN


def source_of(request: HttpRequest | Request) -> Origin | None:
    """Return which page sent the request, as far as the browser says."""
    return origin_of(request) or referer_of(request)


def is_own(origin: Origin, request: HttpRequest | Request) -> bool:
    """Say whether `origin` is the address this request was sent to, or one set as ours."""
    ours = Origin.parse(f"{request.scheme}://{host_of(request)}")
    return origin == ours or origin in map(Origin.parse, settings.OWN_ORIGINS)


def is_allowed_by_cors(origin: Origin) -> bool:
    """Say whether pages of `origin` may call with a key of their own."""
    return origin in map(Origin.parse, settings.CORS_ALLOWED_ORIGINS)
