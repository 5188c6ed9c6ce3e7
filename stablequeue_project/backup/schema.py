"""The tables of a database: which there are, by which migrations, and making them anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from psycopg.sql import SQL, Identifier

from stablequeue_project.backup.errors import ArchiveDamaged, BackupError

Migration = tuple[str, str]
"""An app and the name of one of its migrations."""

_OF_THE_TABLES_THEMSELVES = {"django_migrations"}
_FILLED_BY_THEMSELVES = {
    *("django_content_type", "auth_permission", "django_session", "events_event"),
    *("events_horizon", "webhooks_mark"),
    *("jobs_process", "jobs_tally", "jobs_tallymark", "jobs_disk", "jobs_sweepmark"),
}
"""A database that nobody has used yet has rows in these only."""

EVENT_IDS_LEFT_OUT = 1_000_000
"""Events of after the backup may have been seen by clients, who ask for what came later: ids
of new events begin far above them."""


def applied() -> list[Migration]:
    """The migrations this database has had. Raises BackupError if a newer version made some."""
    found = sorted(MigrationRecorder(connection).applied_migrations())
    if unknown := unknown_here(found):
        raise BackupError(
            "DATABASE_IS_NEWER",
            f"The database was made by a newer StableQueue ({unknown} is unknown to this one). "
            "Use that version.",
        )
    return found


def unknown_here(migrations: Iterable[Migration]) -> str | None:
    """The first of `migrations` that this version doesn't have, as `app.name`."""
    disk = MigrationLoader(None).disk_migrations
    return next((".".join(name) for name in migrations if name not in disk), None)


def tables() -> dict[str, list[str]]:
    """Our tables that exist, and their columns. What is computed by the database is left out."""
    names = set(connection.introspection.django_table_names(only_existing=True))
    return {name: _columns(name) for name in sorted(names - _OF_THE_TABLES_THEMSELVES)}


def has_rows() -> str | None:
    """The name of a table that somebody has put something into, if there is one."""
    with connection.cursor() as cursor:
        for table in tables().keys() - _FILLED_BY_THEMSELVES:
            cursor.execute(SQL("SELECT EXISTS (SELECT FROM {})").format(Identifier(table)))
            if cursor.fetchone()[0]:
                return table
    return None


def make_anew(migrations: Sequence[Migration]) -> None:
    """Drop all of ours and make the empty tables that exactly `migrations` lead to.

    To be called in a transaction. Raises BackupError when that isn't possible here.
    """
    with connection.cursor() as cursor:
        if existing := [*tables(), *(_OF_THE_TABLES_THEMSELVES & _existing())]:
            names = SQL(", ").join(map(Identifier, existing))
            cursor.execute(SQL("DROP TABLE {}").format(names))
        # Else what one migration leaves to be checked would forbid the next one's changes.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    executor = MigrationExecutor(connection)
    everything = executor.migration_plan(executor.loader.graph.leaf_nodes())
    wanted = [step for step in everything if (step[0].app_label, step[0].name) in set(migrations)]
    executor.migrate(list(migrations), plan=wanted)
    missing = set(migrations) ^ set(MigrationRecorder(connection).applied_migrations())
    if missing:
        raise ArchiveDamaged(f"its list of migrations is not one of ours ({min(missing)}).")


def require(told: Mapping[str, Sequence[str]]) -> None:
    """Raise ArchiveDamaged unless the tables and columns `told` of are the existing ones."""
    existing = tables()
    if {name: set(columns) for name, columns in told.items()} != {
        name: set(columns) for name, columns in existing.items()
    }:
        raise ArchiveDamaged("its tables are not those of the version it names.")


def continue_numbering() -> None:
    """Have new rows numbered above those that were loaded."""
    with connection.cursor() as cursor:
        cursor.execute(_NUMBERED)
        for table, column in cursor.fetchall():
            gap = EVENT_IDS_LEFT_OUT if table == "events_event" else 1
            cursor.execute(
                SQL(
                    "SELECT setval(pg_get_serial_sequence({}, {}), "
                    "(SELECT coalesce(max({}), 0) + {} FROM {}), false)"
                ).format(table, column, Identifier(column), gap, Identifier(table))
            )


def _existing() -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.table_names(cursor))


def _columns(table: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_STORED_COLUMNS, [table])
        return [name for (name,) in cursor.fetchall()]


_STORED_COLUMNS = """
    SELECT column_name FROM information_schema.columns
     WHERE table_schema = current_schema() AND table_name = %s AND is_generated = 'NEVER'
     ORDER BY ordinal_position
"""
_NUMBERED = """
    SELECT table_name, column_name FROM information_schema.columns
     WHERE table_schema = current_schema() AND is_identity = 'YES'
"""
