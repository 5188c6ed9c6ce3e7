"""Where a Forge may be: anywhere on the local network, this machine included.

That field makes StableQueue send requests for whoever fills it in. So its grammar is
narrow, and what is never a Forge is refused: link-local addresses (the metadata services
of clouds among them), multicast, "no address", and our own database and broker.

A name may lead elsewhere tomorrow. So names are judged twice: as text when they are
entered, and as the address they led to when a connection is made (`refusal_of_peer`).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal

from servers.errors import ServerAddressInvalid

DEFAULT_PORT = 7860
"""Forge's own. A URL without a port means it too, except https, which means 443."""

Scheme = Literal["http", "https"]
Service = tuple[str, int]
"""Host and port of one of our own services."""

_IpAddress = IPv4Address | IPv6Address

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^\s:/?#@\[\]\\]+)(?::(?P<port>[0-9]{1,5}))?/?",
    re.ASCII | re.IGNORECASE,
)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)

_METADATA_NAMES = ("metadata", "metadata.google.internal", "metadata.goog", "instance-data")
_SERVICE_NAMES = ("postgres", "redis", "flower")
"""What our own containers are called."""
_NEVER_A_FORGE = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "240.0.0.0/4",  # reserved, and broadcast
        "100.100.100.200/32",  # metadata services outside of link-local
        "192.0.0.192/32",
        "fd00:ec2::/32",
    )
]
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Address:
    """A checked address. IPv6 hosts are kept without brackets."""

    scheme: Scheme
    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse_address(host: str, port: int | str | None = None, scheme: Scheme = "http") -> Address:
    """Check a host and a port as a person or a client gives them.

    Raises ServerAddressInvalid, naming the field `host` or `port`.
    """
    return Address(scheme, _clean_host(host, field="host"), _clean_port(port, field="port"))


def parse_url(url: str, *, field: str = "url") -> Address:
    """Check a base URL: scheme, host, perhaps a port, and nothing else.

    Raises ServerAddressInvalid, naming `field`.
    """
    match = _URL.fullmatch(url.strip(" "))
    if not match:
        raise ServerAddressInvalid(
            field,
            "Enter the address like http://192.168.1.100:7860, "
            "without user name, path or anything else.",
        )
    scheme: Scheme = "https" if match["scheme"].lower() == "https" else "http"
    port = match["port"] or (443 if scheme == "https" else DEFAULT_PORT)
    return Address(scheme, _clean_host(match["host"], field=field), _clean_port(port, field=field))


def require_foreign(
    address: Address, own_services: Collection[Service], *, field: str = "host"
) -> None:
    """Raise ServerAddressInvalid for the address of one of our own services."""
    here = is_loopback(address.host)
    for host, port in own_services:
        same = host.lower() == address.host or (here and is_loopback(host))
        if same and port == address.port:
            raise ServerAddressInvalid(
                field, f"{address.url} is a service of StableQueue itself, not a Forge."
            )


def refusal_of_peer(
    ours: str, peer: str, port: int, *, own_services: Iterable[Service]
) -> str | None:
    """Say in a sentence why nothing may be sent to a peer, or None if it may.

    `ours` is our own end of the connection: a peer with the same address is this machine.
    """
    theirs, here = _plain(ip_address(peer)), _plain(ip_address(ours))
    if refusal := _refusal(theirs):
        return refusal
    local = theirs.is_loopback or theirs == here
    for host, service_port in own_services:
        if port == service_port:
            known = _resolve(host)
            if theirs in known or (local and any(ip.is_loopback or ip == here for ip in known)):
                return f"{peer} port {port} is a service of StableQueue itself."
    return None


def _clean_host(text: str, *, field: str) -> str:
    host = text.strip(" ").lower()
    address = _as_ip(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    if address is not None:
        if refusal := _refusal(_plain(address)):
            raise ServerAddressInvalid(field, refusal)
        return str(_plain(address))
    host = host.removesuffix(".")
    if len(host) > 253 or not _NAME.fullmatch(host) or _NUMERIC.fullmatch(host):
        raise ServerAddressInvalid(
            field,
            "Enter a host name or an IP address alone, like 192.168.1.100 or gaming-pc; "
            "the port has a field of its own.",
        )
    if any(host == name or host.endswith(f".{name}") for name in _METADATA_NAMES):
        raise ServerAddressInvalid(field, f"{host} is a metadata service, not a Forge.")
    if host in _SERVICE_NAMES:
        raise ServerAddressInvalid(field, f"{host} is a service of StableQueue, not a Forge.")
    return host


def _clean_port(port: int | str | None, *, field: str) -> int:
    if port is None or port == "":
        return DEFAULT_PORT
    if isinstance(port, bool) or not _PORT.fullmatch(str(port)) or int(port) > 65535:
        raise ServerAddressInvalid(field, "A port is a whole number from 1 to 65535.")
    return int(port)


def _as_ip(host: str) -> _IpAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _plain(address: _IpAddress) -> _IpAddress:
    """Unwrap an IPv4 address that travels inside an IPv6 one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _refusal(address: _IpAddress) -> str | None:
    if address.is_loopback:
        return None
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        return f"{address} is no address that a Forge can have."
    if any(address in network for network in _NEVER_A_FORGE):
        return f"{address} is no address that a Forge can have."
    return None


def is_loopback(host: str) -> bool:
    """Say whether `host`, a name or an address, is the machine we run on."""
    address = _as_ip(host)
    return address.is_loopback if address else host == "localhost" or host.endswith(".localhost")


def _resolve(host: str) -> set[_IpAddress]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {_plain(ip_address(str(entry[4][0]))) for entry in found}
