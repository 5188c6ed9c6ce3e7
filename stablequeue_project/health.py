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
from jobs import broker_health, disk, presence
from jobs.broker_health import BrokerState
from jobs.models import Process
from servers.models import Health, Server
from stablequeue_project import wording
from stablequeue_project.bounded_look import BoundedLook, seen_by

PATIENCE = 2.0
"""Seconds until what has not answered counts as away."""

LITTLE_SPACE = 1024**3
"""Bytes free in the pictures folder below which somebody should make room."""


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
    reason: str
    is_paused: bool


@dataclass(frozen=True)
class Rows:
    """What stands in the database."""

    processes: Sequence[ProcessFound] = ()
    servers: Sequence[ServerFound] = ()
    held: str = ""
    """Why no job is started on any server; empty if that is not so."""


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
    if found.rows is not None and found.rows.held:
        yield Trouble("disk", "No job is started on any server.", found.rows.held)
    else:
        yield from _troubles_of_space(found.space)
    if found.rows is not None:
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


def _troubles_of_space(space: Space | None) -> Iterator[Trouble]:
    if space is None:
        yield Trouble(
            "disk",
            "The pictures folder cannot be looked at.",
            "See whether it is there, and whether its disk answers (STABLEQUEUE_OUTPUTS).",
        )
    elif space.free < LITTLE_SPACE:
        yield Trouble(
            "disk",
            f"Only {space.free // 1024**2:,} MiB are free for pictures.",
            "Delete what is not needed, or move the folder (STABLEQUEUE_OUTPUTS).",
        )


def _troubles_of_servers(servers: Sequence[ServerFound]) -> Iterator[Trouble]:
    for server in servers:
        if not server.is_paused and server.health not in (Health.ONLINE, Health.UNKNOWN):
            yield Trouble(
                "server",
                f"{server.alias}: {server.reason or wording.sentence_of_health(server.health)}",
                wording.help_for_health(server.health),
            )


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
        servers = Server.objects.active()
        return Rows(
            [ProcessFound(*row) for row in processes],
            [
                ServerFound(one.alias, one.health, one.health_reason, one.is_paused)
                for one in servers
            ],
            disk.pause(),
        )
    finally:
        connection.close()


def _look_at_space() -> Space:
    usage = shutil.disk_usage(settings.OUTPUTS_DIR)
    return Space(usage.free, usage.total)


_FRESH_FOR = 0.5
_ROWS = BoundedLook(_look_at_rows, fresh_for=_FRESH_FOR)
_BROKER = BoundedLook(broker_health.look, fresh_for=_FRESH_FOR)
_SPACE = BoundedLook(_look_at_space, fresh_for=_FRESH_FOR)
