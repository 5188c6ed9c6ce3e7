"""Puts the jobs of a batch into the table, which differ in few columns, a thousand at once.

The first is stored like any other job; the database copies its row for the rest. So what is
the same for all, the defaults of columns among it, is told once and travels once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection

from jobs.models import Job

VARYING = {"id": "uuid", "kind": "text", "parameters": "jsonb", "seed": "bigint"}
"""The columns in which the jobs of a batch differ, with their types."""


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
