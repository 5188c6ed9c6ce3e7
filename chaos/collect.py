"""Gathering the facts: from the database, the disk, the Forges' journals and the logs."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.rows import dict_row

from chaos.errors import ChaosError
from chaos.facts import EventRow, Facts, ImageRow, JobRow
from chaos.stack import Stack

_PATIENCE = 15.0

_JOBS = "SELECT id::text, status, attempt, retry_count, seed, parameters, result FROM jobs_job"
_IMAGES = "SELECT job_id::text, name, sha256 FROM jobs_image"
_EVENTS = """
    SELECT id, kind, subject_id AS job_id, data->>'status' AS status,
           (data->>'attempt')::int AS attempt
    FROM events_event WHERE subject_type = 'job' ORDER BY id
"""
_SLOTS = """
    SELECT server.alias, slot.state FROM jobs_slot AS slot
    JOIN servers_server AS server ON server.id = slot.server_id WHERE slot.state <> 'free'
"""
_TEXTS = {
    "an event": "SELECT count(*) AS found FROM events_event WHERE position(%s IN data::text) > 0",
    "a kept answer": "SELECT count(*) AS found FROM events_answer WHERE position(%s IN body) > 0",
    "a job": "SELECT count(*) AS found FROM jobs_job "
    "WHERE position(%s IN concat(errors::text, result::text, parameters::text)) > 0",
    "a server": "SELECT count(*) AS found FROM servers_server "
    "WHERE position(%s IN to_jsonb(servers_server)::text) > 0",
}


def collect(
    stack: Stack, healing_seconds: float | None, healing_limit: float, *, is_swept: bool = False
) -> Facts:
    """Return all that is known now. Raises ChaosError if the database stays away."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            facts = _collect(stack)
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise ChaosError(f"The database cannot be asked: {error}") from error
            time.sleep(0.5)
        else:
            return replace(
                facts,
                healing_seconds=healing_seconds,
                healing_limit=healing_limit,
                is_swept=is_swept,
            )


def _collect(stack: Stack) -> Facts:
    reasons = {job["stablequeue_job_id"]: job["reason"] for job in stack.client.jobs("pending")}
    with stack.database() as connection, connection.cursor(row_factory=dict_row) as cursor:
        jobs = [_job(row, reasons) for row in cursor.execute(_JOBS).fetchall()]
        images = [ImageRow(**row) for row in cursor.execute(_IMAGES).fetchall()]
        events = [EventRow(**row) for row in cursor.execute(_EVENTS).fetchall()]
        slots = [f"{row['alias']} ({row['state']})" for row in cursor.execute(_SLOTS).fetchall()]
        leaks = [*_told_by_the_database(stack, cursor), *_told_by_logs(stack)]
    outputs = stack.outputs()
    restarts = {forge.alias: stack.supervisor.started_at(forge.name) for forge in stack.forges}
    return Facts(
        asked=list(stack.ledger.asked),
        told=stack.ledger.told(),
        jobs={job.id: job for job in jobs},
        images=images,
        files={
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in outputs.glob("*.png")
        },
        staging=sorted(path.name for path in (outputs / ".staging").glob("*")),
        events=events,
        starts=[start for forge in stack.forges for start in forge.starts(restarts[forge.alias])],
        interrupts=[one for forge in stack.forges for one in forge.interrupts()],
        frozen=list(stack.frozen),
        leaks=leaks,
        slots_held=slots,
    )


def _job(row: dict[str, Any], reasons: dict[str, str]) -> JobRow:
    parameters, result = row["parameters"], row["result"] or {}
    pictures = int(parameters.get("num_images", 1)) * int(parameters.get("batch_size", 1))
    return JobRow(
        id=row["id"],
        status=row["status"],
        attempt=row["attempt"],
        retry_count=row["retry_count"],
        seed=row["seed"],
        prompt=parameters["positive_prompt"],
        pictures_asked=pictures,
        pictures_named=tuple(result.get("images", ())),
        reason=reasons.get(row["id"]) or "",
    )


def _told_by_the_database(
    stack: Stack, cursor: psycopg.Cursor[dict[str, Any]]
) -> Iterator[tuple[str, str]]:
    for canary in stack.canaries:
        for place, question in _TEXTS.items():
            row = cursor.execute(question, [canary.secret]).fetchone()
            if row and row["found"]:
                yield canary.name, place


def _told_by_logs(stack: Stack) -> Iterator[tuple[str, str]]:
    for path in sorted([*stack.folder.logs.glob("*"), *stack.path.glob("*.jsonl")]):
        said = path.read_bytes()
        for canary in stack.canaries:
            if canary.secret.encode() in said:
                yield canary.name, path.name
