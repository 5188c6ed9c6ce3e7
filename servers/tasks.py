"""The chores around servers."""

from __future__ import annotations

from celery import shared_task

from servers import health
from servers.models import Server


@shared_task(name="servers.probe", queue="chores", ignore_result=True)
def probe_server(server_id: int) -> None:
    """Look at one server. A server that is gone by now is no error."""
    server = Server.objects.active().filter(pk=server_id).first()
    if server is not None:
        health.look_at(server)
