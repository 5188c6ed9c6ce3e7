"""How StableQueue is, for GET /health: what is looked at, and what that means.

It is down when it cannot take jobs, degraded when jobs are taken but something keeps them
from being drawn or kept as they should, else ok.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils import timezone

from events.timestamps import utc_millis
from jobs import broker_health, presence
from jobs.broker_health import BrokerState
from jobs.models import Disk, Process
from servers.models import Health, Server
from stablequeue_project import wording
from stablequeue_project.bounded_look import BoundedLook, seen_by

PATIENCE = 2.0
"""Seconds until what has not answered counts as away."""


@dataclass(frozen=True)
class ProcessFound:
    """A process that has said lately that it lives."""

    name: str
    role: str
    state: str


@dataclass(frozen=True)
class ServerFound:
    """A server, as the list of servers shows it."""

    alias: str
    health: str
    health_reason: str
    is_paused: bool
    held_reason: str = ""
    """Why it gets no jobs for a while; empty if it is not held."""


@dataclass(frozen=True)
class Rows:
    """What stands in the database."""

    processes: Sequence[ProcessFound] = ()
    servers: Sequence[ServerFound] = ()
    disks: Sequence[str] = ()
    """Why nothing can be saved, in sentences; empty if all can."""


@dataclass(frozen=True)
class Space:
    """Of the disk under the pictures folder, in bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class Findings:
    """What was seen. None is what did not answer in time."""

    rows: Rows | None
    broker: BrokerState | None
    space: Space | None


@dataclass(frozen=True)
class Trouble:
    """Something a person may want to do something about."""

    part: str
    message: str
    help: str


@dataclass(frozen=True)
class Report:
    """The findings and what they mean."""

    findings: Findings
    troubles: list[Trouble] = field(default_factory=list)

    @property
    def status(self) -> str:
        """`ok`, `degraded`, or `down` if no job can be taken."""
        if self.findings.rows is None:
            return "down"
        return "degraded" if self.troubles else "ok"

    def outline(self) -> dict[str, Any]:
        """What anybody may know."""
        known: dict[str, Any] = {"status": self.status, "at": utc_millis(timezone.now())}
        return {**known, "message": self.troubles[0].message} if self.status == "down" else known

    def details(self) -> dict[str, Any]:
        """All of it."""
        found = self.findings
        rows = found.rows or Rows()
        return {
            **self.outline(),
            "troubles": [asdict(trouble) for trouble in self.troubles],
            "database": {"answers": found.rows is not None},
            "broker": {"state": found.broker or BrokerState.AWAY},
            "dispatcher": {
                "leader": next(_names(rows, Process.Role.DISPATCHER, "serves"), None),
                "standbys": [*_names(rows, Process.Role.DISPATCHER, "stands_by")],
            },
            "workers": _workers(rows, Process.Role.WORKER),
            "chores": _workers(rows, Process.Role.CHORES),
            "disk": {
                "free_bytes": found.space.free if found.space else None,
                "total_bytes": found.space.total if found.space else None,
            },
            "servers": [asdict(server) for server in rows.servers],
        }


def look() -> Report:
    """Look at everything at once; takes little more than PATIENCE at worst."""
    deadline = time.monotonic() + PATIENCE
    rows, state, space = _ROWS.begin(), _BROKER.begin(), _SPACE.begin()
    findings = Findings(seen_by(rows, deadline), seen_by(state, deadline), seen_by(space, deadline))
    return Report(findings, [*troubles_of(findings)])


def troubles_of(found: Findings) -> Iterator[Trouble]:
    """What is wrong, in sentences, the worst first. Pure."""
    if found.rows is None:
        yield Trouble(
            "database",
            "The database does not answer: no job can be taken, and none begins.",
            "Start PostgreSQL, or mend DATABASE_URL. All goes on by itself when it is back.",
        )
    if found.broker is not BrokerState.WELL:
        yield _BROKER_TROUBLES[found.broker or BrokerState.AWAY]
    if found.rows is not None:
        yield from _troubles_of_processes(found.rows.processes)
    if found.space is None:
        yield _SPACE_TROUBLE
    if found.rows is not None:
        yield from (Trouble("disk", reason, _ADMITS_NOTHING) for reason in found.rows.disks)
        yield from _troubles_of_servers(found.rows.servers)


_BROKER_TROUBLES = {
    BrokerState.AWAY: Trouble(
        "broker",
        "Redis does not answer: jobs are taken and kept, but none begins.",
        "Start Redis, or mend REDIS_URL. Nothing is lost if it comes back empty.",
    ),
    BrokerState.REFUSES: Trouble(
        "broker",
        "Redis takes no messages: it is full or read only. Jobs are taken, but none begins.",
        "Give it more memory (maxmemory), or look at its replicas and its log.",
    ),
    BrokerState.EVICTS: Trouble(
        "broker",
        "Redis throws messages away when it is full. They are sent again, but jobs start late.",
        "Set its maxmemory-policy to noeviction.",
    ),
}

_SPACE_TROUBLE = Trouble(
    "disk",
    "The pictures folder cannot be looked at.",
    "See whether it is there, and whether its disk answers (STABLEQUEUE_OUTPUTS).",
)
_ADMITS_NOTHING = "Until then jobs are taken and kept, but none begins."

_ROLE_TROUBLES = {
    Process.Role.DISPATCHER: Trouble(
        "dispatcher",
        "No dispatcher leads: jobs are taken and kept, but none begins.",
        "Start one: python manage.py dispatcher. Its log says why it ended.",
    ),
    Process.Role.WORKER: Trouble(
        "worker",
        "No worker takes jobs from the queues: none begins.",
        "Start one, or look into its log. One that hears nothing any more restarts itself.",
    ),
    Process.Role.CHORES: Trouble(
        "chores",
        "No worker does the chores: servers are not looked at.",
        "Start one, or look into its log. One that hears nothing any more restarts itself.",
    ),
}


def _troubles_of_processes(processes: Sequence[ProcessFound]) -> Iterator[Trouble]:
    for role in Process.Role:
        mine = [process for process in processes if process.role == role]
        if not any(process.state == Process.State.SERVES for process in mine):
            yield _ROLE_TROUBLES[role]
            continue
        for process in mine:
            if process.state == Process.State.DEAF:
                yield Trouble(
                    role.value,
                    f"{process.name} lives, but takes no messages any more.",
                    "It ends and is started again by itself within a minute.",
                )


def _troubles_of_servers(servers: Sequence[ServerFound]) -> Iterator[Trouble]:
    for server in servers:
        if server.is_paused:
            continue
        if server.held_reason:
            yield Trouble("server", server.held_reason, wording.HELP_FOR_HELD)
        elif server.health not in (Health.ONLINE, Health.UNKNOWN):
            reason = server.health_reason or wording.sentence_of_health(server.health)
            help_for_it = wording.help_for_health(server.health)
            yield Trouble("server", f"{server.alias}: {reason}", help_for_it)


def _names(rows: Rows, role: str, state: str) -> Iterator[str]:
    return (one.name for one in rows.processes if (one.role, one.state) == (role, state))


def _workers(rows: Rows, role: str) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "consumes": one.state == Process.State.SERVES}
        for one in rows.processes
        if one.role == role
    ]


def _look_at_rows() -> Rows:
    try:
        processes = presence.living().order_by("name").values_list("name", "role", "state")
        return Rows(
            [ProcessFound(*row) for row in processes],
            [_found(server) for server in Server.objects.active()],
            [*Disk.objects.reasons_to_hold()],
        )
    finally:
        connection.close()


def _found(server: Server) -> ServerFound:
    held_reason = server.held_reason if server.held_until is not None else ""
    return ServerFound(
        server.alias, server.health, server.health_reason, server.is_paused, held_reason
    )


def _look_at_space() -> Space:
    usage = shutil.disk_usage(settings.OUTPUTS_DIR)
    return Space(usage.free, usage.total)


_FRESH_FOR = 0.5
_ROWS = BoundedLook(_look_at_rows, fresh_for=_FRESH_FOR)
_BROKER = BoundedLook(broker_health.look, fresh_for=_FRESH_FOR)
_SPACE = BoundedLook(_look_at_space, fresh_for=_FRESH_FOR)
