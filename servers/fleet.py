"""The verbs that change servers. Each change is one transaction that ends with its event.

Events never hold secrets; a changed password is named, not shown.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.text import slugify

from events.log import record
from servers import holds
from servers.address import Address, require_foreign
from servers.aliases import alias_key, clean_alias
from servers.changes import change as _change
from servers.credentials import seal
from servers.errors import ServerAliasInvalid, ServerExists, ServerNotFound
from servers.foreign_data import one_line
from servers.forge_ways import Forge
from servers.models import Drain, Health, Protocol, Server


@dataclass(frozen=True)
class Logins:
    """What a Forge asks for. None leaves a value as it is; an empty user name drops both."""

    username: str | None = None
    password: str | None = None
    api_username: str | None = None
    api_password: str | None = None


NO_LOGINS = Logins(username="", api_username="")


def find_server(alias: str) -> Server:
    """Return the active server of that name, ignoring case. Raises ServerNotFound."""
    server = Server.objects.active().filter(alias_key=_sought(alias)).first()
    if server is None:
        raise ServerNotFound(one_line(alias, 64))
    return server


def find_target(alias: str) -> Server:
    """Return what a submit needs of that server, its id and alias. Raises ServerNotFound."""
    with connection.cursor() as cursor:
        cursor.execute(_FIND_TARGET, [_sought(alias)])
        row = cursor.fetchone()
    if row is None:
        raise ServerNotFound(one_line(alias, 64))
    return Server.from_db(None, ["id", "alias"], row)


# Written out, as it stands in the way of every submit.
_FIND_TARGET = """
    SELECT id, alias FROM servers_server WHERE alias_key = %s AND retired_at IS NULL
"""


def _sought(alias: str) -> str:
    """The key of the server meant. Raises ServerNotFound for what can be no alias."""
    try:
        return alias_key(clean_alias(alias))
    except ServerAliasInvalid as error:
        raise ServerNotFound(one_line(alias, 64)) from error


def require_usable(address: Address) -> None:
    """Raise ServerAddressInvalid for the address of one of our own services."""
    require_foreign(address, settings.OWN_SERVICES)


def add_server(
    *,
    alias: str,
    address: Address,
    description: str = "",
    logins: Logins = NO_LOGINS,
    keeps_copies: bool = True,
    protocol: str = Protocol.AUTO,
    quiet_hours: Sequence[Mapping[str, Any]] = (),
    time_zone: str = "UTC",
) -> Server:
    """Add a server, or revive the retired one of that name.

    A revived server keeps its id and queue, so that jobs which waited for it go on.
    Raises ServerExists, ServerAliasInvalid and ServerAddressInvalid.
    """
    alias = clean_alias(alias)
    require_usable(address)
    try:
        with transaction.atomic():
            retired = Server.objects.exclude(retired_at=None).by_alias(alias)
            server = retired.order_by("-retired_at").select_for_update(no_key=True).first()
            if server is None:
                server = Server(queue_name=uuid.uuid4().hex)
            _name(server, alias)
            server.description = description
            server.retired_at, server.is_paused, server.drain = None, False, ""
            server.keeps_copies = keeps_copies
            server.protocol = protocol
            server.quiet_hours, server.time_zone = list(quiet_hours), time_zone
            _drop_logins(server)
            _move(server, address)
            _set_logins(server, logins)
            revived = server.pk is not None
            server.save()
            if not revived:
                server.queue_name = f"forge.{server.pk}-{slugify(alias)[:48] or 'server'}"
                server.save(update_fields=["queue_name"])
            record([_change("server.added", server, revived=revived)])
    except IntegrityError as error:
        raise ServerExists(alias) from error
    return server


def update_server(
    *,
    server_id: int,
    alias: str | None = None,
    address: Address | None = None,
    description: str | None = None,
    logins: Logins | None = None,
    keeps_copies: bool | None = None,
    protocol: str | None = None,
    quiet_hours: Sequence[Mapping[str, Any]] | None = None,
    time_zone: str | None = None,
) -> Server:
    """Change what is not None. A server whose address or login changed has to be probed anew.

    Raises ServerNotFound, ServerExists, ServerAliasInvalid and ServerAddressInvalid.
    """
    if address is not None:
        require_usable(address)
    try:
        with transaction.atomic():
            server = _locked(server_id)
            before = _values(server)
            if alias is not None:
                _name(server, clean_alias(alias))
            if description is not None:
                server.description = description
            plain = {
                "keeps_copies": keeps_copies,
                "protocol": protocol,
                "quiet_hours": None if quiet_hours is None else list(quiet_hours),
                "time_zone": time_zone,
            }
            for name, value in plain.items():
                if value is not None:
                    setattr(server, name, value)
            if logins is not None:
                _set_logins(server, logins)
            if address is not None and address.url != server.address:
                _move(server, address)
            changed = [name for name, value in _values(server).items() if before[name] != value]
            if changed:
                if set(changed) - _LEAVES_HEALTH:
                    _forget_health(server)
                server.save()
                record([_change("server.updated", server, changed=changed)])
    except IntegrityError as error:
        raise ServerExists(alias or "") from error
    return server


_LEAVES_HEALTH = {"alias", "description", "keeps_copies", "quiet_hours", "time_zone"}
"""What can be changed without looking at that Forge anew."""


def remove_server(*, server_id: int) -> Server:
    """Retire a server: what runs there ends, what waits is held. Raises ServerNotFound."""
    with transaction.atomic():
        server = _locked(server_id)
        server.retired_at = timezone.now()
        server.save(update_fields=["retired_at", "updated_at"])
        record([_change("server.removed", server)])
    return server


def pause_server(*, server_id: int) -> Server:
    """Start no further job there; what runs ends. Raises ServerNotFound."""
    return _steer(server_id, "server.paused", is_paused=True)


def drain_server(*, server_id: int) -> Server:
    """Pause a server, and let `end_drain` say when it is idle. Raises ServerNotFound."""
    return _steer(server_id, "server.draining", is_paused=True, drain=Drain.DRAINING)


def end_drain(*, server_id: int) -> None:
    """Note that nothing of ours runs any more on a server that is being drained."""
    with transaction.atomic():
        draining = Server.objects.filter(pk=server_id, drain=Drain.DRAINING)
        server = draining.select_for_update(no_key=True).first()
        if server is not None:
            server.drain = Drain.DRAINED
            server.save(update_fields=["drain", "updated_at"])
            record([_change("server.drained", server)])


def resume_server(*, server_id: int) -> Server:
    """Undo a pause or drain, and release a server that is held. Raises ServerNotFound."""
    return _steer(server_id, "server.resumed", is_paused=False)


def mark_health(
    *,
    server_id: int,
    health: Health,
    reason: str = "",
    address: str | None = None,
    found: Mapping[str, Any] | None = None,
) -> None:
    """Keep how a look at a server ended, and what it `found`; an event tells only of a change.

    With `address`, a look at an address that the server no longer has is ignored. So is one
    at a server that is retired by now.
    """
    with transaction.atomic():
        server = Server.objects.active().select_for_update(no_key=True).filter(pk=server_id).first()
        if server is None or address not in (None, server.address):
            return
        changed = server.health != health
        server.health, server.health_reason = health, reason[:500]
        server.checked_at = timezone.now()
        if found is not None:
            server.capabilities, server.capabilities_at = dict(found), server.checked_at
        seen = ["health", "health_reason", "checked_at", "capabilities", "capabilities_at"]
        server.save(update_fields=seen)
        tried = health == Health.ONLINE and holds.try_again(server)
        said = {"health": str(health), "reason": reason[:500]}
        changes = [_change("server.health", server, **said)] if changed else []
        record(changes + ([_change("server.tried", server)] if tried else []))


def pin_options(server: Server, client: Forge, keys: Iterable[str]) -> bool:
    """Have a Forge restore these settings after each job that overrides them.

    Forge restores only what its config file holds, so the owner's present values are
    written there once. False if that could not be done for all of them: Forge is busy with
    somebody else's job, or doesn't know one. Raises ForgeError.
    """
    wanted = set(keys) - _ALWAYS_RESTORED
    missing = wanted.difference(server.pinned_options)
    if missing and (pinned := client.pin_options(sorted(missing))):
        server.pinned_options = sorted({*server.pinned_options, *pinned})
        # Not if it was moved meanwhile: the Forge there restores nothing yet.
        same = {"scheme": server.scheme, "host": server.host, "port": server.port}
        Server.objects.filter(pk=server.pk, **same).update(pinned_options=server.pinned_options)
    return wanted.issubset(server.pinned_options)


def forget_pins(server: Server) -> None:
    """Look at the server's settings anew: it is another Forge than the one that was pinned."""
    server.pinned_options = []
    Server.objects.filter(pk=server.pk).update(pinned_options=[])


_ALWAYS_RESTORED = {"sd_model_checkpoint"}
"""Forge itself writes it into its config at its first start."""


def _steer(server_id: int, kind: str, *, is_paused: bool, drain: str = "") -> Server:
    with transaction.atomic():
        server = _locked(server_id)
        released = not is_paused and holds.forgive(server)
        if (server.is_paused, server.drain) != (is_paused, drain) or released:
            server.is_paused, server.drain = is_paused, drain
            server.save(update_fields=["is_paused", "drain", "updated_at", *holds.FIELDS])
            record([_change(kind, server)])
    return server


def _locked(server_id: int) -> Server:
    server = Server.objects.active().select_for_update(no_key=True).filter(pk=server_id).first()
    if server is None:
        raise ServerNotFound(f"#{server_id}")
    return server


def _name(server: Server, alias: str) -> None:
    server.alias, server.alias_key = alias, alias_key(alias)


def _move(server: Server, address: Address) -> None:
    server.scheme, server.host, server.port = address.scheme, address.host, address.port
    server.pinned_options = []
    server.speed = server.load_seconds = None
    _forget_health(server)


def _forget_health(server: Server) -> None:
    server.health, server.health_reason, server.checked_at = Health.UNKNOWN, "", None
    server.capabilities, server.capabilities_at = {}, None
    holds.forgive(server)


def _drop_logins(server: Server) -> None:
    _set_logins(server, NO_LOGINS)


def _set_logins(server: Server, logins: Logins) -> None:
    if logins.username is not None:
        server.username = logins.username
    if logins.password is not None:
        server.password_sealed = seal(logins.password)
    if logins.username == "":
        server.password_sealed = ""
    if logins.api_username is not None:
        server.api_username = logins.api_username
    if logins.api_password is not None:
        server.api_password_sealed = seal(logins.api_password)
    if logins.api_username == "":
        server.api_password_sealed = ""


def _values(server: Server) -> Mapping[str, Any]:
    """What a person may change, under public names."""
    return {
        "alias": server.alias,
        "address": server.address,
        "description": server.description,
        "keeps_copies": server.keeps_copies,
        "protocol": server.protocol,
        "quiet_hours": server.quiet_hours,
        "time_zone": server.time_zone,
        "username": server.username,
        "password": server.password_sealed,
        "api_username": server.api_username,
        "api_password": server.api_password_sealed,
    }
