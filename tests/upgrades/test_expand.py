"""Between two releases the database only grows: what the older one writes still works.

So an upgrade needs no pause: the tables are brought up to date while processes of the
release before are at work, and those are replaced afterwards.
"""

import os

import pytest
from django.db import connection
from django.db.migrations import operations
from django.db.migrations.loader import MigrationLoader

from tests.upgrades import writes

HARMLESS = (
    operations.CreateModel,
    operations.AddIndex,
    operations.RemoveIndex,
    operations.RenameIndex,
    operations.RemoveConstraint,
    operations.AlterModelOptions,
    operations.AlterModelManagers,
    # What it may be too strict for is seen when the older writes are said again.
    operations.AddConstraint,
    operations.RunPython,
)
OURS = ("apikeys", "events", "jobs", "models_catalog", "servers")


@pytest.fixture(autouse=True)
def _outputs(settings, tmp_path):
    settings.OUTPUTS_DIR = tmp_path


def new_migrations():
    """Migrations that the release before did not have."""
    before = set(writes.recorded()["migrations"])
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        if app in OURS and f"{app}.{name}" not in before:
            yield migration


def what_is_wrong(operation, state, app):
    """Why processes of the release before could not go on; empty if they can."""
    if isinstance(operation, HARMLESS):
        return ""
    if isinstance(operation, operations.AddField):
        field = operation.field
        fills_itself = field.null or field.has_db_default() or field.many_to_many
        return "" if fills_itself else "the older INSERT has no value for it: give it a db_default"
    if isinstance(operation, operations.AlterField):
        before = state.models[app, operation.model_name.lower()].fields[operation.name]
        return _what_is_wrong_with_altering(before, operation.field)
    return "that is for the release after this one, which nobody uses any more what it takes away"


def _what_is_wrong_with_altering(before, after):
    if before.null and not after.null:
        return "the older code may write NULL"
    if before.get_internal_type() != after.get_internal_type():
        return "the older code writes another type"
    if (before.max_length or 0) > (after.max_length or 0):
        return "the older code may write something longer"
    if before.has_db_default() and not after.has_db_default():
        return "the older INSERT has no value for it"
    return ""


def test_new_migrations_only_add():
    loader = MigrationLoader(None)
    complaints = []
    for migration in new_migrations():
        state = loader.project_state([(migration.app_label, migration.name)], at_end=False)
        for operation in migration.operations:
            if wrong := what_is_wrong(operation, state, migration.app_label):
                complaints.append(f"{migration}: {operation.describe()}: {wrong}")
            operation.state_forwards(migration.app_label, state)

    assert complaints == []


@pytest.mark.django_db(transaction=True, reset_sequences=True)
def test_what_the_release_before_writes_finds_the_rows_it_found_then():
    if os.environ.get("RECORD_RELEASE"):
        writes.record()
        return
    with connection.cursor() as cursor:
        for expected, statement in writes.recorded()["statements"]:
            cursor.execute(statement)
            assert cursor.rowcount == expected, statement
