"""Looking at a server and putting what was found into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from django.conf import settings

from servers import breaker, holds
from servers.address import is_loopback
from servers.fleet import mark_health
from servers.forge import (
    ForgeConnectionLost,
    ForgeError,
    ForgeNotReady,
    ForgeStalled,
    ForgeUnauthorized,
    ForgeUnreachable,
)
from servers.models import Health, Server
from servers.probing import Capabilities, Protocol, look

_ABOUT_THE_SERVER: dict[type[ForgeError], Health] = {
    ForgeUnreachable: Health.OFFLINE,
    ForgeConnectionLost: Health.OFFLINE,
    ForgeUnauthorized: Health.UNAUTHORIZED,
    ForgeNotReady: Health.NOT_READY,
    ForgeStalled: Health.NOT_READY,
}
"""Errors that say more about the server than about what it was asked."""


@dataclass(frozen=True)
class Verdict:
    """How a look at a server ended; `found` only if it can take jobs."""

    health: Health
    reason: str = ""
    found: Capabilities | None = None


def probe(server: Server) -> Verdict:
    """Ask a server whether it can take jobs. Takes as long as a few time-outs at worst."""
    try:
        protocol = cast(Protocol, server.protocol)
        found = look(server.api_client(), server.page_client(), protocol)
    except ForgeUnreachable as error:
        return Verdict(Health.OFFLINE, f"{error}{_hint(server)}")
    except ForgeError as error:
        return _judge(error)
    return Verdict(Health.ONLINE, found.hint, found)


def _hint(server: Server) -> str:
    """What helps whoever enters 127.0.0.1 and means the machine around our container."""
    if not (settings.IN_CONTAINER and is_loopback(server.host)):
        return ""
    return (
        " StableQueue runs in a container, where this address is the container itself: "
        "a Forge on the same machine is host.docker.internal."
    )


def note(server: Server, error: ForgeError) -> None:
    """Keep what an error met during a job tells about its server, if it tells anything."""
    if breaker.may_be_the_servers_fault(error):
        holds.note_failure(
            server_id=server.pk,
            address=server.address,
            sentence=str(error),
            at_once=isinstance(error, ForgeStalled),
        )
    if isinstance(error, tuple(_ABOUT_THE_SERVER)):
        _keep(server, _judge(error))


def look_at(server: Server) -> None:
    """Probe a server and keep what was found."""
    _keep(server, probe(server))


def _keep(server: Server, verdict: Verdict) -> None:
    mark_health(
        server_id=server.pk,
        health=verdict.health,
        reason=verdict.reason,
        address=server.address,
        found=verdict.found.as_json() if verdict.found else None,
    )


def _judge(error: ForgeError) -> Verdict:
    for kind, health in _ABOUT_THE_SERVER.items():
        if isinstance(error, kind):
            return Verdict(health, str(error))
    return Verdict(Health.NOT_READY, str(error))
