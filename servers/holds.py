"""Holding a server that keeps failing, trying it again, releasing it.

`servers.breaker` says when. How long is counted by the database's clock alone.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from events.log import record
from servers import breaker
from servers.breaker import Conduct
from servers.changes import change
from servers.models import Server


def note_failure(*, server_id: int, address: str, sentence: str, at_once: bool) -> None:
    """Count a failed attempt against the server, and hold it if that is enough.

    `at_once`: one is. A failure at an address that the server no longer has is ignored.
    """
    with transaction.atomic():
        server = Server.objects.active().select_for_update(no_key=True).filter(pk=server_id).first()
        if server is None or server.address != address:
            return
        before = Conduct(server.failures, server.holds, is_held=server.held_until is not None)
        after = breaker.after_failure(before, at_once=at_once)
        server.failures, server.holds = after.failures, after.holds
        if after.is_held and not before.is_held:
            _hold(server, sentence)
        else:
            server.save(update_fields=["failures"])


def note_success(server: Server) -> None:
    """A picture came: the failures so far are forgotten. `server` is as the job's claim saw it.

    One job at a time goes to a server, so nobody else has counted since.
    """
    if not server.failures:
        return
    with transaction.atomic():
        seen = Server.objects.active().select_for_update(no_key=True).filter(pk=server.pk).first()
        if seen is None or seen.address != server.address:
            return
        was_held = forgive(seen)
        seen.save(update_fields=FIELDS)
        record([change("server.released", seen)] if was_held else [])


FIELDS = ["failures", "holds", "held_until", "held_reason"]
"""The columns in which a server's conduct is kept."""


def forgive(server: Server) -> bool:
    """Forget all failures; the caller saves. Says whether the server was held or on trial."""
    was_held = bool(server.holds)
    server.failures = server.holds = 0
    server.held_until, server.held_reason = None, ""
    return was_held


def try_again(server: Server) -> bool:
    """Put a locked server on trial if its hold is over. Says whether it was put there."""
    if server.held_until is None:
        return False
    over = Server.objects.filter(pk=server.pk, held_until__lte=Now())
    return bool(over.update(held_until=None, held_reason=""))


def _hold(server: Server, sentence: str) -> None:
    seconds = breaker.hold_seconds(server.holds) * settings.TIME_SCALE
    many = f"{server.failures} jobs in a row" if server.failures > 1 else "a job"
    server.held_reason = f"{server.alias} failed {many}. The last time: {sentence}"[:500]
    server.save(update_fields=FIELDS)
    Server.objects.filter(pk=server.pk).update(held_until=Now() + timedelta(seconds=seconds))
    record([change("server.held", server, reason=server.held_reason, seconds=round(seconds))])
