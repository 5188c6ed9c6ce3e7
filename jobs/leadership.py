"""Who of several dispatchers leads: the one whose connection holds an advisory lock.

A leader that ends, or whose machine vanishes, loses its connection and with it the lock.
One that is frozen keeps both, and nothing of TCP tells it from one that works. So whoever
stands by watches its beat, and when that stands still has Postgres end the connection: a
thawed leader finds it gone, and can no longer write anything.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import connection

from events import locks
from jobs import presence
from jobs.leases import LeaseWatch
from jobs.models import Process

logger = logging.getLogger(__name__)


class Standby:
    """Tries to take the lead, once a tick, and watches whoever has it."""

    def __init__(self, name: str) -> None:
        """`name` is what this dispatcher is called among the processes."""
        self._name = name
        self._watch: LeaseWatch[int] = LeaseWatch(settings.LEADER_DEAD_TICKS)

    def try_to_lead(self) -> bool:
        """Take the lock over this connection if it can be had. To be called once a tick."""
        if _took_the_lock():
            return True
        presence.note(name=self._name, role=Process.Role.DISPATCHER, state=Process.State.STANDS_BY)
        self._end_a_frozen_leader()
        return False

    def _end_a_frozen_leader(self) -> None:
        beats = presence.beats_of_the_leader()
        for backend in self._watch.look(dict.fromkeys(_holders(), beats)):
            logger.warning(
                "the leading dispatcher shows no sign of life; its connection (of backend %s) "
                "is ended and another one leads",
                backend,
            )
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s)", [backend])


def _took_the_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [locks.DISPATCHER])
        return bool(cursor.fetchone()[0])


def _holders() -> list[int]:
    """The process ids, in Postgres, of the connection that holds the lock; none or one."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLDERS, {"high": locks.DISPATCHER >> 32, "low": locks.DISPATCHER})
        return [pid for (pid,) in cursor.fetchall()]


# An advisory lock of one 64-bit number is shown as two halves.
_HOLDERS = """
    SELECT pid FROM pg_locks
     WHERE locktype = 'advisory' AND granted AND objsubid = 1
       AND classid = %(high)s AND objid = %(low)s
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
