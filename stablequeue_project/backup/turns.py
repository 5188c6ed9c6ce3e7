"""Who may work on the whole of the data now: one backup or restore at a time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from django.conf import settings
from django.db import connection

from events import locks
from jobs import presence
from jobs.models import Process
from stablequeue_project.backup.errors import BackupError


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Be the only backup or restore while this lasts. Raises BackupError if another one is."""
    if not _taken(locks.BACKUP):
        raise BackupError(
            "BACKUP_UNDER_WAY", "Another backup or restore is under way. Wait for it."
        )
    try:
        yield
    finally:
        _give_back(locks.BACKUP)


@contextlib.contextmanager
def while_nothing_runs() -> Iterator[None]:
    """Let nothing of StableQueue use the database while this lasts.

    A process that has just been stopped is waited for. Raises BackupError if one goes on.
    """
    deadline = time.monotonic() + settings.PROCESS_GONE_AFTER + 1
    while running := _who_runs():
        if time.monotonic() > deadline:
            raise BackupError(
                "STABLEQUEUE_RUNS",
                f"StableQueue is running on this database ({running}). Stop it first: with Ctrl-C, "
                "or with 'docker compose stop web dispatcher worker chores'.",
            )
        time.sleep(0.2)
    held = []
    try:
        for lock in (locks.DISPATCHER, locks.MIGRATION):
            if not _taken(lock):
                raise BackupError(
                    "STABLEQUEUE_RUNS", "StableQueue has just been started on this database."
                )
            held.append(lock)
        yield
    finally:
        for lock in held:
            _give_back(lock)


def _who_runs() -> str:
    """The roles that are filled by living processes, in words; empty if there are none."""
    with connection.cursor() as cursor:
        if Process._meta.db_table not in connection.introspection.table_names(cursor):
            return ""
    # Of columns that every version has had: the database may be an older one's.
    running = set(presence.living().values_list("role", flat=True))
    return ", ".join(role for role in Process.Role.values if role in running)


def _taken(lock: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        return bool(cursor.fetchone()[0])


def _give_back(lock: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])
