"""Servers that are changed while they work."""

from __future__ import annotations

import random
from functools import partial

from chaos.forge import Forge
from chaos.stack import Stack


def pause_a_server(stack: Stack, chance: random.Random) -> str:
    """What runs ends, nothing new starts, until it goes on."""
    forge = chance.choice(stack.forges)
    stack.client.call("POST", f"/api/v1/servers/{forge.alias}/pause")
    stack.later(chance.choice((0.5, 2.0)), partial(_resume, stack, forge))
    return forge.alias


def remove_a_server(stack: Stack, chance: random.Random) -> str:
    """Removed, and added again under the same name."""
    forge = chance.choice(stack.forges)
    stack.client.call("DELETE", f"/api/v1/servers/{forge.alias}")
    stack.later(chance.choice((0.3, 2.0)), partial(stack.add_server, forge))
    return forge.alias


def rename_a_server(stack: Stack, chance: random.Random) -> str:
    """Another name and description, and the old ones again."""
    forge = chance.choice(stack.forges)
    stack.client.call(
        "PUT", f"/api/v1/servers/{forge.alias}", {"alias": _other(forge), "description": "moved"}
    )
    stack.later(chance.choice((0.3, 2.0)), partial(_name_as_before, stack, forge))
    return forge.alias


def mend(stack: Stack) -> None:
    """Make all servers what they were, however the answers got lost."""
    known = stack.client.call("GET", "/api/v1/servers")
    servers = {one["alias"]: one for one in known.json()} if known is not None and known.ok else {}
    for forge in stack.forges:
        if _other(forge) in servers:
            _name_as_before(stack, forge)
        elif forge.alias not in servers:
            stack.add_server(forge)
        elif servers[forge.alias]["is_paused"]:
            _resume(stack, forge)


def _other(forge: Forge) -> str:
    return f"{forge.alias}-renamed"


def _name_as_before(stack: Stack, forge: Forge) -> None:
    stack.client.call("PUT", f"/api/v1/servers/{_other(forge)}", {"alias": forge.alias})


def _resume(stack: Stack, forge: Forge) -> None:
    stack.client.call("POST", f"/api/v1/servers/{forge.alias}/resume")


STEPS = (pause_a_server, remove_a_server, rename_a_server)
