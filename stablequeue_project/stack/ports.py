"""Addresses: choosing free ports for the engines, and refusing one that is taken for the web."""

from __future__ import annotations

import argparse
import errno
import random
import re
import socket
from dataclasses import dataclass
from pathlib import Path

from stablequeue_project.stack.errors import StackError

LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes the ports of outgoing connections (32768 on),
# so that none of those can sit on an engine's port while it restarts.
_ENGINE_PORTS = range(20000, 32000)


@dataclass(frozen=True)
class Address:
    """Where the web process listens."""

    host: str
    port: int

    @property
    def bind(self) -> str:
        """The address in the form gunicorn wants."""
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def local_host(self) -> str:
        """A host under which this machine itself reaches the address."""
        return {"0.0.0.0": LOOPBACK, "::": "::1", "": LOOPBACK}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """What a person on this machine opens."""
        return f"http://{_bracketed(self.local_host)}:{self.port}"

    @property
    def is_private(self) -> bool:
        """Can only this machine open it?"""
        return self.host in ("localhost", "::1") or self.host.startswith("127.")


def free_port() -> int:
    """Return a port of the loopback address on which nobody listens."""
    for port in random.sample(_ENGINE_PORTS, 200):
        if is_free(port):
            return port
    raise StackError(
        "NO_FREE_PORT",
        f"No free port between {_ENGINE_PORTS.start} and {_ENGINE_PORTS.stop} for the engines.",
    )


def is_free(port: int) -> bool:
    """Could an engine listen on this port of the loopback address now?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def add_options(parser: argparse.ArgumentParser) -> None:
    """Let a command line say where the web process listens: --port and --host."""
    parser.add_argument("--port", type=_port, default=8083, help="where the page and API answer")
    parser.add_argument("--host", default=LOOPBACK, help="0.0.0.0 opens it to the network")


def require_free(address: Address, *, word: str) -> None:
    """Raise StackError, saying what to do, when the web process could not listen there."""
    try:
        family, kind, _, _, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except socket.gaierror as error:
        raise StackError(
            "HOST_UNKNOWN", f"--host {address.host} is no address of this machine."
        ) from error
    except OSError as error:
        raise _refusal(address, error, word) from error


def network_url(address: Address) -> str:
    """Return what others on the network most likely open."""
    host = _network_host() or "this machine's address"
    return f"http://{host}:{address.port}"


def _network_host() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it only chooses a route.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _refusal(address: Address, error: OSError, word: str) -> StackError:
    if error.errno == errno.EADDRINUSE:
        holder = _holder(address.port)
        return StackError(
            "PORT_IN_USE",
            f"Port {address.port} is in use{f' by {holder}' if holder else ''}. "
            "Stop that, or choose another: "
            f"./stablequeue {word} --port {min(address.port + 1, 65535)}",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return StackError("HOST_UNKNOWN", f"--host {address.host} is no address of this machine.")
    return StackError(
        "PORT_REFUSED",
        f"Cannot listen on {address.bind} ({error.strerror}). Choose another --port above 1023.",
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port number from 1 to 65535")
    return int(text)


def _holder(port: int) -> str | None:
    """Name the process that listens on `port`, if /proc lets us see it."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(descriptor.readlink()) in sockets:
                process = descriptor.parent.parent
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue
    return None


def _listening_inodes(port: int) -> list[str]:
    tables = [path for path in map(Path, ("/proc/net/tcp", "/proc/net/tcp6")) if path.exists()]
    listening = re.compile(rf"^\s*\d+: [0-9A-F]+:{port:04X} \S+ 0A(?: +\S+){{5}} +(\d+)", re.M)
    return [inode for table in tables for inode in listening.findall(table.read_text())]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
