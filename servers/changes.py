"""The events of servers. They never hold secrets."""

from __future__ import annotations

from typing import Any

from events.log import Change
from servers.models import Server


def change(kind: str, server: Server, **data: Any) -> Change:
    """What to record of a change of a server, seen from after it."""
    return Change(
        kind,
        "server",
        str(server.pk),
        {"alias": server.alias, "address": server.address, "health": server.health, **data},
    )
