"""Events as their readers get them: read from the log in order, with what their job belongs to."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol

from events.timestamps import utc_millis

PAGE = 500
"""Events read at once."""


@dataclass(frozen=True)
class Scope:
    """What the job of an event belongs to; empty where there is no job, or nothing is known."""

    server: str = ""
    batch: str = ""
    key: str = ""


@dataclass(frozen=True)
class Entry:
    """One event of the log."""

    id: int
    at: datetime
    kind: str
    subject_type: str
    subject_id: str
    data: Mapping[str, Any]
    scope: Scope = field(default_factory=Scope)

    @property
    def job_id(self) -> str | None:
        """The id of the job it is about, if it is about one."""
        return self.subject_id if self.subject_type == "job" else None

    def told(self) -> dict[str, Any]:
        """What clients are told of it."""
        return {
            "event_id": self.id,
            "type": self.kind,
            "timestamp": utc_millis(self.at),
            "subject": {"type": self.subject_type, "id": self.subject_id},
            **about(self.job_id, self.scope),
            "data": self.data,
        }

    @cached_property
    def lines(self) -> bytes:
        """It as an event of a stream."""
        return event_lines(self.kind, self.told(), self.id)


def about(job_id: str | None, scope: Scope) -> dict[str, Any]:
    """Which job, of which batch, on which server."""
    return {"job_id": job_id, "batch_id": scope.batch or None, "server": scope.server or None}


def event_lines(kind: str, told: Mapping[str, Any], event_id: int | None = None) -> bytes:
    """Write one event of a stream. Without an id the reader keeps the one it had."""
    place = "" if event_id is None else f"id: {event_id}\n"
    return f"{place}event: {kind}\ndata: {json.dumps(told, separators=(',', ':'))}\n\n".encode()


class Cursor(Protocol):
    """As much of a cursor as reading needs; psycopg's and Django's both have it."""

    def execute(self, query: str, params: Any = None, /) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class Scopes(Protocol):
    """Finds out what jobs belong to. Who knows jobs gives it to those who read events."""

    def __call__(self, cursor: Cursor, job_ids: Collection[str], /) -> Mapping[str, Scope]: ...


def read(
    cursor: Cursor,
    scopes: Scopes,
    *,
    after: int,
    until: int | None = None,
    job_id: str | None = None,
    limit: int = PAGE,
) -> list[Entry]:
    """Read the next events after an id, in order; of one job, if it is named."""
    conditions = ["id > %(after)s"]
    if until is not None:
        conditions.append("id <= %(until)s")
    if job_id is not None:
        conditions.append("subject_type = 'job' AND subject_id = %(job_id)s")
    cursor.execute(
        "SELECT id, at, kind, subject_type, subject_id, data::text FROM events_event"  # noqa: S608
        f" WHERE {' AND '.join(conditions)} ORDER BY id LIMIT %(limit)s",
        {"after": after, "until": until, "job_id": job_id, "limit": limit},
    )
    rows = cursor.fetchall()
    jobs = {row[4] for row in rows if row[3] == "job"}
    known = scopes(cursor, jobs) if jobs else {}
    return [_entry(row, known) for row in rows]


def newest_id(cursor: Cursor) -> int:
    """The id of the newest event that is visible, or was; 0 if there never was one."""
    cursor.execute(
        "SELECT greatest(0, (SELECT max(id) FROM events_event),"
        " (SELECT max(event_id) FROM events_horizon))",
        None,
    )
    return int(cursor.fetchall()[0][0])


def _entry(row: Any, known: Mapping[str, Scope]) -> Entry:
    event_id, at, kind, subject_type, subject_id, text = row
    data = json.loads(text)
    scope = known.get(subject_id, Scope()) if subject_type == "job" else Scope()
    if not scope.server and subject_type != "job":
        scope = Scope(server=str(data.get("alias") or data.get("server") or ""))
    return Entry(event_id, at, kind, subject_type, subject_id, data, scope)
