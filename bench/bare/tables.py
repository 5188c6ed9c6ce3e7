"""Its tables, beside the product's in the database of the benchmark."""

from __future__ import annotations

CREATE = """
CREATE TABLE bare_job (
    id uuid PRIMARY KEY,
    server text NOT NULL,
    parameters jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE bare_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL,
    subject uuid NOT NULL
)
"""
