"""Where a webhook may lead: anywhere on the local network and beyond, but not to ourselves.

What is refused is what no Forge may be either: link-local addresses and metadata services,
our own database and broker. As there, a name is judged again when a connection is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.conf import settings

from servers.address import Address, Scheme, parse_address, require_foreign
from servers.errors import ServerAddressInvalid
from webhooks.errors import WebhookUrlInvalid

MAX_URL = 1000

_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\s:/?#@\[\]\\]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-\[\]-~]*)?",
    re.ASCII | re.IGNORECASE,
)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Target:
    """A checked URL: which machine, and what to ask it for."""

    address: Address
    path: str


def parse_target(url: str) -> Target:
    """Check a URL as a client gives it. Raises WebhookUrlInvalid."""
    match = _URL.fullmatch(url.strip(" ")) if len(url) <= MAX_URL else None
    if match is None or "#" in (match["path"] or ""):
        raise WebhookUrlInvalid(
            "Enter an address like https://example.org/hook, without a user name."
        )
    scheme: Scheme = "https" if match["scheme"].lower() == "https" else "http"
    try:
        address = parse_address(match["host"], match["port"] or _PORTS[scheme], scheme)
        require_foreign(address, settings.OWN_SERVICES)
    except ServerAddressInvalid as error:
        raise WebhookUrlInvalid(
            f"{match['host']} cannot be called: it is no proper name or address, or leads to "
            "this machine's own services or to a metadata service."
        ) from error
    return Target(address, match["path"] or "/")
