"""Counts what the event log holds, a little at a time, so that nobody has to count it all.

The verbs of a job's life write events anyway; counting them later costs those verbs nothing,
and a look at the sums costs the same after a million jobs as after ten.
"""

from __future__ import annotations

import math
import time

from django.db import connection, transaction

from jobs.models import TallyMark

BUCKETS = (1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
"""Upper bounds of the histograms, in seconds. What takes longer is counted under `+Inf`."""

AT_ONCE = 2000
"""Events per transaction: a few tens of milliseconds."""


def advance(*, seconds: float = 2.0) -> int:
    """Count events that nobody has counted yet, for about so long. Returns how many.

    A no-op while another process counts.
    """
    deadline = time.monotonic() + seconds
    counted = last = _count_some()
    while last == AT_ONCE and time.monotonic() < deadline:
        last = _count_some()
        counted += last
    return counted


def label_of(bound: float) -> str:
    """The label under which the bucket with this upper bound is counted."""
    return "+Inf" if math.isinf(bound) else f"{bound:g}"


def uncounted() -> int:
    """How many events, at most, are not counted yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce((SELECT max(id) FROM events_event), 0)"
            " - coalesce((SELECT event_id FROM jobs_tallymark), 0)"
        )
        return max(0, int(cursor.fetchone()[0]))


def _count_some() -> int:
    with transaction.atomic():
        TallyMark.objects.get_or_create()
        mark = TallyMark.objects.select_for_update(skip_locked=True).first()
        if mark is None:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, {"after": mark.event_id, "most": AT_ONCE, "bounds": [*BUCKETS]})
            counted, last = cursor.fetchone()
        if counted:
            TallyMark.objects.update(event_id=last)
    return int(counted)


# `said` is what of a job's life each new event ends or begins, with the one before: an attempt
# is what lies between a claim and the event that follows it.
_COUNT = """
    WITH fresh AS MATERIALIZED (
        SELECT id, at, kind, subject_type, subject_id, data FROM events_event
         WHERE id > %(after)s ORDER BY id LIMIT %(most)s
    ),
    said AS MATERIALIZED (
        SELECT fresh.kind, fresh.data ->> 'code' AS code, coalesce(job.server_id, 0) AS server_id,
               before.kind AS before,
               greatest(0, extract(epoch FROM fresh.at - before.at))::float8 AS seconds
          FROM fresh
          LEFT JOIN LATERAL (
                SELECT kind, at FROM events_event AS earlier
                 WHERE earlier.subject_type = 'job' AND earlier.subject_id = fresh.subject_id
                   AND earlier.id < fresh.id
                   AND earlier.kind IN (
                        'job.submitted', 'job.claimed', 'job.retry', 'job.released',
                        'job.completed', 'job.failed', 'job.cancelled'
                       )
                 ORDER BY earlier.id DESC LIMIT 1
               ) AS before ON true
          LEFT JOIN jobs_job AS job ON job.id = fresh.subject_id::uuid
         WHERE fresh.subject_type = 'job'
           AND fresh.kind IN (
                'job.claimed', 'job.retry', 'job.released',
                'job.completed', 'job.failed', 'job.cancelled'
               )
    ),
    sums AS (
        SELECT 'ended' AS measure, server_id, substr(kind, 5) AS label, seconds FROM said
         WHERE kind IN ('job.completed', 'job.failed', 'job.cancelled')
        UNION ALL
        SELECT 'attempt', server_id, substr(kind, 5) || coalesce(' ' || code, ''), seconds
          FROM said WHERE before = 'job.claimed'
        UNION ALL
        SELECT CASE kind WHEN 'job.claimed' THEN 'wait' ELSE 'duration' END, server_id,
               coalesce(
                    (%(bounds)s::float8[])[1 + width_bucket(seconds, %(bounds)s::float8[])]::text,
                    '+Inf'
               ), seconds
          FROM said
         WHERE (kind, before) IN (
                ('job.claimed', 'job.submitted'), ('job.completed', 'job.claimed')
               )
    ),
    kept AS (
        INSERT INTO jobs_tally (measure, server_id, label, count, seconds)
        SELECT measure, server_id, left(label, 80), count(*), sum(seconds)
          FROM sums GROUP BY 1, 2, 3
        ON CONFLICT (measure, server_id, label) DO UPDATE
           SET count = jobs_tally.count + excluded.count,
               seconds = jobs_tally.seconds + excluded.seconds
    )
    SELECT count(*), coalesce(max(id), 0) FROM fresh
"""
