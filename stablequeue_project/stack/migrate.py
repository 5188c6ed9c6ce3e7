"""Brings the database to this version's tables, then ends: the gate before all other processes.

Runs as a process of its own, so that the stack itself needs no Django settings. It waits
for the database as long as that takes, and two that start at once take turns.
"""

from __future__ import annotations

import os
import sys
import time

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection

from stablequeue_project.stack.processes import SETTINGS_UNUSABLE

_LOCK = 0x5351_0002
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


def main() -> int:
    """Migrate, whenever the database lets us; return the exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stablequeue_project.settings")
    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        return SETTINGS_UNUSABLE
    pause = _FIRST_PAUSE
    while True:
        try:
            _migrate_alone()
        except DatabaseError as error:
            sys.stderr.write(f"The database cannot be used yet: {error}\n")
            connection.close()
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return 0


def _migrate_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        try:
            call_command("migrate", interactive=False, verbosity=1)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


if __name__ == "__main__":
    sys.exit(main())
