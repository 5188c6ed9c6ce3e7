"""Writing to the event log.

Ids must become visible in the order they were drawn, or a reader that remembers the
last id it saw would miss the late ones. So every writer takes one advisory lock before
it draws ids and keeps it until its commit. The lock is taken last, after all row
updates of the transaction: taken earlier, two writers could wait for each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from events import locks

CHANNEL = "stablequeue_events"
"""The NOTIFY channel on which each committed change is announced as `{id, kind, type, subject}`."""


@dataclass(frozen=True)
class Change:
    """One change about to be stored: what happened to which subject."""

    kind: str
    subject_type: str
    subject_id: str
    data: Mapping[str, Any] = field(default_factory=dict)


def record(changes: Sequence[Change]) -> None:
    """Store `changes` and announce them when the surrounding transaction commits.

    Must be the last statement of that transaction that may wait for another one. Raises
    TransactionManagementError outside of one.
    """
    if not changes:
        return
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "An event is stored in the transaction of its change."
        )
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_THE_LOCK)
        cursor.execute(_RECORD, _values(changes))


def execute_and_record(
    statements: str, values: Mapping[str, Any], changes: Sequence[Change]
) -> tuple[Any, ...]:
    """Run `statements` and `record` their changes: one transaction, one trip to the database.

    Returns the row that the first statement returns. Postgres takes statements that come
    together for one transaction, if there is none yet. So the lock is held for as short as
    can be: while the disk commits, and no longer.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"{statements}; {_TAKE_THE_LOCK}; {_RECORD}", {**values, **_values(changes)})
        return tuple(cursor.fetchone())


def _values(changes: Sequence[Change]) -> dict[str, Any]:
    rows = [
        {
            "kind": change.kind,
            "subject_type": change.subject_type,
            "subject_id": change.subject_id,
            "data": dict(change.data),
        }
        for change in changes
    ]
    return {"events": json.dumps(rows), "channel": CHANNEL}


def announce(kind: str, subject_type: str, subject_id: str) -> None:
    """Tell the listeners of something that is not worth a row, when the transaction commits."""
    notice = json.dumps({"kind": kind, "type": subject_type, "subject": subject_id})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, notice])


# Foreign keys are checked before, not at the commit: the check may have to wait for a row
# that somebody holds who waits for this lock.
_TAKE_THE_LOCK = f"SET CONSTRAINTS ALL IMMEDIATE; SELECT pg_advisory_xact_lock({locks.EVENT_ORDER})"

# One statement for any number of changes, as a batch of jobs brings a thousand at once.
_RECORD = """
    WITH stored AS (
        INSERT INTO events_event (at, kind, subject_type, subject_id, data)
        SELECT statement_timestamp(), change.*
        FROM jsonb_to_recordset(%(events)s)
            AS change (kind text, subject_type text, subject_id text, data jsonb)
        RETURNING *
    )
    SELECT pg_notify(
        %(channel)s,
        jsonb_build_object(
            'id', id, 'kind', kind, 'type', subject_type, 'subject', subject_id
        )::text
    )
    FROM stored
"""
