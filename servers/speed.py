"""How fast each server draws, learned from what it drew.

Averages in which the newest count most: a machine gets another card, or a game runs beside.
"""

from __future__ import annotations

from django.db import connection

NEWEST = 0.3
"""The weight of the last generation."""


def note(*, server_id: int, work: float, seconds: float, had_to_load: bool) -> None:
    """Learn from a generation: `work` is its steps times pixels.

    One that had to load a checkpoint first tells how long that takes, once the speed is known.
    """
    if work <= 0 or seconds <= 0:
        return
    values = {"server": server_id, "work": work, "seconds": seconds, "newest": NEWEST}
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_LOADING if had_to_load else _NOTE_SPEED, values)


# `updated_at` stays: it tells of what a person configured.
_NOTE_SPEED = """
    UPDATE servers_server
       SET speed = coalesce(
            1 / ((1 - %(newest)s) / speed + %(newest)s * %(seconds)s / %(work)s),
            %(work)s / %(seconds)s
           )
     WHERE id = %(server)s
"""
_NOTE_LOADING = """
    UPDATE servers_server
       SET load_seconds = coalesce((1 - %(newest)s) * load_seconds, 0)
            + greatest(0, %(seconds)s - %(work)s / speed)
              * CASE WHEN load_seconds IS NULL THEN 1 ELSE %(newest)s END
     WHERE id = %(server)s AND speed IS NOT NULL
"""
