"""Puts new jobs into the table: one with its event in one trip, or a thousand at once.

The jobs of a batch differ in few columns. The first is stored like any other; the database
copies its row for the rest. So what is the same for all, the defaults of columns among it,
is told once and travels once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection

from events import log
from jobs.models import Input, Job

VARYING = {
    "id": "uuid",
    "kind": "text",
    "parameters": "jsonb",
    "seed": "bigint",
    "checkpoint": "text",
    "work": "float8",
}
"""The columns in which the jobs of a batch differ, with their types."""

# Written out, as it stands in the way of every submit. Columns that it doesn't name have a
# default in the database.
_STORE = """
    INSERT INTO jobs_job (
        id, status, kind, parameters, seed, server_id, target_alias, submitted_by_id,
        source_info, batch_id, attempt, retry_count, task_id, beat, errors,
        owner, priority, is_background, checkpoint, work
    ) VALUES (
        %(id)s, %(status)s, %(kind)s, %(parameters)s, %(seed)s, %(server)s, %(target_alias)s,
        %(submitted_by)s, %(source_info)s, %(batch)s, 0, 0, '', 0, '[]',
        %(owner)s, %(priority)s, %(is_background)s, %(checkpoint)s, %(work)s
    )
    RETURNING created_at, position
"""
_STORE_INPUTS = """
    ; INSERT INTO jobs_job_inputs (job_id, input_id) SELECT %(id)s, unnest(%(inputs)s::text[])
"""


def store(job: Job, inputs: Sequence[Input], changes: Sequence[log.Change]) -> None:
    """Store a new job with what is recorded of it, all or nothing, in one trip to the database.

    Tells `job` the moment and its position; no other default that the database fills in.
    """
    values = {
        "id": job.id,
        "status": job.status,
        "kind": job.kind,
        "parameters": json.dumps(job.parameters),
        "seed": job.seed,
        "server": job.server_id,
        "target_alias": job.target_alias,
        "submitted_by": job.submitted_by_id,
        "source_info": job.source_info,
        "batch": job.batch_id,
        "owner": job.owner,
        "priority": job.priority,
        "is_background": job.is_background,
        "checkpoint": job.checkpoint,
        "work": job.work,
        "inputs": [kept.sha256 for kept in inputs],
    }
    statements = _STORE + (_STORE_INPUTS if inputs else "")
    job.created_at, job.position = log.execute_and_record(statements, values, changes)


def store_copies(first: Job, others: Iterable[Mapping[str, Any]]) -> None:
    """Store copies of a stored job; each of `others` has a value for every varying column."""
    told = json.dumps(list(others), default=str)
    with connection.cursor() as cursor:
        cursor.execute(_statement(), [told, first.id])


def _statement() -> str:
    quote = connection.ops.quote_name
    columns = [str(field.column) for field in Job._meta.concrete_fields]
    sources = [f"{'other' if name in VARYING else 'first'}.{quote(name)}" for name in columns]
    types = [f"{quote(name)} {kind}" for name, kind in VARYING.items()]
    table = quote(Job._meta.db_table)
    # All names are those of our own columns.
    return f"""
        INSERT INTO {table} ({", ".join(map(quote, columns))})
        SELECT {", ".join(sources)}
        FROM {table} AS first, jsonb_to_recordset(%s) AS other ({", ".join(types)})
        WHERE first.id = %s
    """  # noqa: S608
