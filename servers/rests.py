"""Begins and ends the quiet hours of servers, as their time comes. The dispatcher calls."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from events.log import record
from servers.changes import change
from servers.models import Server
from servers.quiet_hours import quiet_until


def mind_the_hours(now: datetime | None = None) -> None:
    """Let servers rest whose quiet hours have begun, and end the rest of the others."""
    now = now or timezone.now()
    concerned = Server.objects.active().exclude(quiet_hours=[], quiet_until=None)
    for server in concerned:
        if _until(server, now) != server.quiet_until:
            _note(server.pk, now)


def _until(server: Server, now: datetime) -> datetime | None:
    return quiet_until(server.quiet_hours, server.time_zone, now)


def _note(server_id: int, now: datetime) -> None:
    with transaction.atomic():
        server = Server.objects.active().select_for_update(no_key=True).filter(pk=server_id).first()
        if server is None:
            return
        rested = server.quiet_until is not None
        server.quiet_until = _until(server, now)
        # `updated_at` stays: nobody has configured anything.
        Server.objects.filter(pk=server_id).update(quiet_until=server.quiet_until)
        if rested != (server.quiet_until is not None):
            kind = "server.awake" if rested else "server.resting"
            record([change(kind, server)])
