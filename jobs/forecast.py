"""When a job that waits will have its turn. Reads only."""

from __future__ import annotations

from typing import Any

from django.db import connection

from jobs.models import Job


def queue_position(job: Job) -> int:
    """The place of a pending job among those that wait for its server; the next one has 1.

    As they would go if nothing came or was moved, and if no checkpoint had to be loaded: by
    urgency, class and priority, and among equals one of each key in turns.
    """
    values: dict[str, Any] = {
        "job": job.id,
        "server": job.server_id,
        "urgency": job.urgency,
        "background": job.is_background,
        "priority": job.priority,
        "owner": job.owner,
        "position": job.position,
    }
    with connection.cursor() as cursor:
        cursor.execute(_BEFORE, values)
        [before] = cursor.fetchone()
    return int(before) + 1


# Of each other key as many go first as of the job's own, itself included; the last of them
# only if it is older. Urgent jobs take no turns.
_BEFORE = """
    WITH RECURSIVE waiting AS NOT MATERIALIZED (
        SELECT id, owner, urgency, is_background, priority, position
          FROM jobs_job WHERE server_id = %(server)s AND status = 'pending'
    ),
    higher AS (
        SELECT count(*) AS number FROM waiting
         WHERE urgency > %(urgency)s
            OR urgency = %(urgency)s AND (
                is_background < %(background)s
                OR is_background = %(background)s AND priority > %(priority)s
               )
    ),
    own AS (
        SELECT count(*) AS number FROM waiting
         WHERE urgency = %(urgency)s AND is_background = %(background)s
           AND priority = %(priority)s AND (owner = %(owner)s OR urgency > 0)
           AND (position, id) < (%(position)s, %(job)s)
    ),
    owners AS (
        (SELECT owner FROM waiting
          WHERE is_background = %(background)s AND priority = %(priority)s AND %(urgency)s = 0
          ORDER BY owner LIMIT 1)
        UNION ALL
        SELECT further.owner
          FROM owners
         CROSS JOIN LATERAL (
                SELECT owner FROM waiting
                 WHERE is_background = %(background)s AND priority = %(priority)s
                   AND owner > owners.owner
                 ORDER BY owner LIMIT 1
               ) AS further
    ),
    others AS (
        SELECT coalesce(sum(
                line.number
                - (line.number > own.number AND line.last > %(position)s)::integer
               ), 0) AS number
          FROM own
         CROSS JOIN owners
         CROSS JOIN LATERAL (
                SELECT count(*) AS number, max(position) AS last
                  FROM (SELECT position FROM waiting
                         WHERE is_background = %(background)s AND priority = %(priority)s
                           AND waiting.owner = owners.owner AND urgency = 0
                         ORDER BY position, id
                         LIMIT own.number + 1) AS first
               ) AS line
         WHERE owners.owner <> %(owner)s
    )
    SELECT higher.number + own.number + others.number FROM higher, own, others
"""
