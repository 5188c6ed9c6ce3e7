"""The chores around servers."""

from __future__ import annotations

from celery import shared_task

from servers.fleet import mark_health
from servers.health import probe
from servers.models import Server


@shared_task(name="servers.probe", queue="chores", ignore_result=True)
def probe_server(server_id: int) -> None:
    """Look at one server and keep what was found. A server that is gone is no error."""
    server = Server.objects.active().filter(pk=server_id).first()
    if server is not None:
        verdict = probe(server)
        mark_health(
            server_id=server_id,
            health=verdict.health,
            reason=verdict.reason,
            address=server.address,
        )
