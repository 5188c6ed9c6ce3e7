"""`manage.py healthy <part>`: does the process of this machine (or container) do its work?"""

from __future__ import annotations

import http.client
import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs import presence
from jobs.models import Process

_PATHS = {"web": "/health", "flower": "/healthcheck"}
_ANSWER_SECONDS = 8


class Command(BaseCommand):
    help = (
        "Ends with 0 if the part does its work on this machine, else with 1 and a sentence. "
        "A worker that lives but no longer takes messages is not well."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("part", choices=[*Process.Role.values, *_PATHS])
        parser.add_argument("--port", type=int, help="where web or flower answers")

    def handle(self, *args: Any, part: str, port: int | None, **options: Any) -> None:
        if part in _PATHS:
            _require_answer(part, port)
        elif not presence.is_filled(role=part, host=_host_of(part)):
            raise CommandError(f"The {part} has not said for a while that it does its work.")


def _host_of(role: str) -> str | None:
    """Where the role must be filled: here, but a dispatcher may stand by for another one."""
    return None if role == Process.Role.DISPATCHER else socket.gethostname()


def _require_answer(part: str, port: int | None) -> None:
    if port is None:
        raise CommandError(f"Say with --port where {part} answers.")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_ANSWER_SECONDS)
    try:
        connection.request("GET", _PATHS[part])
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"The {part} does not answer on port {port}: {error}") from error
    finally:
        connection.close()
    # 503 is the web process saying that the database is away.
    if status not in (200, 503):
        raise CommandError(f"The {part} answers {status} on port {port}.")
