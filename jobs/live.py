"""What event streams and webhooks tell about jobs beside the events: to what a job belongs, and
how far it is. Reads only, on whatever connection it is given.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from events.entries import Cursor, Scope, about
from events.hub import Hub, Progress
from jobs import previews


def scopes(cursor: Cursor, job_ids: Collection[str], /) -> Mapping[str, Scope]:
    """To what each of these jobs belongs. A deleted one: as it was when submitted, if known."""
    cursor.execute(_SCOPES, {"ids": list(job_ids)})
    return {row[0]: Scope(server=row[1], batch=row[2], key=row[3]) for row in cursor.fetchall()}


class Sight:
    """What the hub is told about jobs."""

    scopes = staticmethod(scopes)

    def progress(self, cursor: Cursor, /) -> Sequence[Progress]:
        """How far each job is that has a slot and was sent, or is being sent, to its Forge."""
        cursor.execute(_PROGRESS, None)
        return [_progress(row) for row in cursor.fetchall()]


hub = Hub(Sight())
"""The one of this process."""


def _progress(row: tuple[str, str, str, str, float, float | None, str]) -> Progress:
    job_id, server, batch, key, fraction, eta, phase = row
    scope = Scope(server=server, batch=batch, key=key)
    told = {
        "type": "job.progress",
        **about(job_id, scope),
        "fraction": round(fraction, 4),
        "eta_seconds": None if eta is None else round(eta, 1),
        "phase": phase or None,
        "preview_url": previews.address_of(UUID(job_id)) if phase == "generating" else None,
    }
    return Progress(job_id, scope, told)


_SCOPES = """
    SELECT asked.id,
           coalesce(server.alias, said.data ->> 'server', ''),
           coalesce(job.batch_id::text, said.data ->> 'batch', ''),
           coalesce(job.submitted_by_id::text, said.data ->> 'key', '')
      FROM unnest(%(ids)s::text[]) AS asked (id)
      LEFT JOIN jobs_job AS job ON job.id = asked.id::uuid
      LEFT JOIN servers_server AS server ON server.id = job.server_id
      LEFT JOIN LATERAL (
            SELECT data FROM events_event
             WHERE job.id IS NULL AND subject_type = 'job' AND subject_id = asked.id
               AND kind = 'job.submitted'
             ORDER BY id LIMIT 1
           ) AS said ON true
"""

_PROGRESS = """
    SELECT job.id::text, server.alias, coalesce(job.batch_id::text, ''),
           coalesce(job.submitted_by_id::text, ''), slot.progress, slot.eta_seconds, slot.phase
      FROM jobs_slot AS slot
      JOIN jobs_job AS job ON job.id = slot.job_id
      JOIN servers_server AS server ON server.id = slot.server_id
     WHERE slot.state IN ('claimed', 'sent')
     ORDER BY slot.server_id
"""
