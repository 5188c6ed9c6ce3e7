"""Brings the database to this version's tables: the gate before all other processes.

Runs as a process of its own, so that the stack itself needs no Django settings. It waits
for the database as long as that takes, and two that start at once take turns. With a
program named on the command line it then becomes that program; with `--wait` it changes
nothing and waits until another one has brought the tables up to date.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from events import locks
from stablequeue_project.stack.processes import SETTINGS_UNUSABLE

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


def main() -> int:
    """Do it, whenever the database lets us; return the exit code unless a program follows."""
    options = _options()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stablequeue_project.settings")
    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.stderr.write(f"{error}\n")
        return SETTINGS_UNUSABLE
    _insist(_wait_for_another if options.wait else _migrate_alone)
    if options.program:
        os.execvp(options.program[0], options.program)  # noqa: S606
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--wait", action="store_true", help="until another one has migrated")
    parser.add_argument("program", nargs=argparse.REMAINDER, help="what to become then")
    return parser.parse_args()


def _insist(step: Callable[[], None]) -> None:
    pause = _FIRST_PAUSE
    while True:
        try:
            step()
        except DatabaseError as error:
            sys.stderr.write(f"The database cannot be used yet: {error}\n")
            connection.close()
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
        else:
            return


def _migrate_alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [locks.MIGRATION])
        try:
            call_command("migrate", interactive=False, verbosity=1)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [locks.MIGRATION])


def _wait_for_another() -> None:
    waited = False
    while not _is_up_to_date():
        if not waited:
            sys.stderr.write("Waiting for the tables of this version.\n")
        waited = True
        time.sleep(_FIRST_PAUSE)


def _is_up_to_date() -> bool:
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())


if __name__ == "__main__":
    sys.exit(main())
