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
from events.models import Event

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

    Must be the last statement of that transaction. Raises
    TransactionManagementError outside of one.
    """
    if not changes:
        return
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError(
            "An event is stored in the transaction of its change."
        )
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [locks.EVENT_ORDER])
        stored = Event.objects.bulk_create(
            Event(
                kind=change.kind,
                subject_type=change.subject_type,
                subject_id=change.subject_id,
                data=dict(change.data),
            )
            for change in changes
        )
        cursor.executemany(
            _NOTIFY,
            [
                (CHANNEL, _notice(event.kind, event.subject_type, event.subject_id, id=event.id))
                for event in stored
            ],
        )


def announce(kind: str, subject_type: str, subject_id: str) -> None:
    """Tell the listeners of something that is not worth a row, when the transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTIFY, [CHANNEL, _notice(kind, subject_type, subject_id)])


_NOTIFY = "SELECT pg_notify(%s, %s)"


def _notice(kind: str, subject_type: str, subject_id: str, **more: int) -> str:
    return json.dumps({"kind": kind, "type": subject_type, "subject": subject_id, **more})
