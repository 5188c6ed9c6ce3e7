"""Looking at a server and putting what was found into words."""

from __future__ import annotations

from dataclasses import dataclass

from servers.errors import ServerSecretUnreadable
from servers.fleet import mark_health
from servers.forge import (
    ForgeBadReply,
    ForgeConnectionLost,
    ForgeError,
    ForgeNotReady,
    ForgeUnauthorized,
    ForgeUnreachable,
)
from servers.models import Health, Server

_MEANING: dict[type[ForgeError], Health] = {
    ForgeUnreachable: Health.OFFLINE,
    ForgeConnectionLost: Health.OFFLINE,
    ForgeUnauthorized: Health.UNAUTHORIZED,
    ForgeNotReady: Health.NOT_READY,
    ForgeBadReply: Health.NOT_READY,
}


@dataclass(frozen=True)
class Verdict:
    health: Health
    reason: str = ""


def probe(server: Server) -> Verdict:
    """Ask a server whether it can take jobs. Takes as long as a few time-outs at worst."""
    try:
        found = server.client().probe()
    except ServerSecretUnreadable as error:
        return Verdict(Health.UNAUTHORIZED, str(error))
    except ForgeError as error:
        return judge(error)
    if not found.has_progress:
        return Verdict(
            Health.ONLINE,
            f"{server.address} runs with --nowebui: its jobs can be neither followed nor stopped.",
        )
    return Verdict(Health.ONLINE)


def judge(error: ForgeError) -> Verdict:
    """Say what an error, met in a probe or in a job, tells about the server's health."""
    for kind, health in _MEANING.items():
        if isinstance(error, kind):
            return Verdict(health, str(error))
    return Verdict(Health.ONLINE, str(error))


def note(server: Server, error: ForgeError) -> None:
    """Keep what an error, met in a job, tells about the server. Most tell nothing."""
    verdict = judge(error)
    if verdict.health != Health.ONLINE:
        mark_health(
            server_id=server.pk,
            health=verdict.health,
            reason=verdict.reason,
            address=server.address,
        )
