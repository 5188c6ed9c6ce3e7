"""A PostgreSQL that restarts, loses connections, or makes everybody wait."""

from __future__ import annotations

import random
import signal
import threading
import time

import psycopg

from chaos.stack import Stack

_LOCKED_SECONDS = 2.0


def restart_postgres(stack: Stack, chance: random.Random) -> str:
    """`pg_ctl restart`, in the fast or the immediate way."""
    fast = chance.random() < 0.5
    stack.supervisor.hold("postgres")
    stack.supervisor.send("postgres", signal.SIGINT if fast else signal.SIGQUIT)
    stack.supervisor.wait_until_ended("postgres")
    stack.supervisor.release("postgres")
    return "fast" if fast else "immediate"


def kill_postgres(stack: Stack, chance: random.Random) -> str:
    """kill -9 of the main process, which its children notice."""
    stack.supervisor.power_cut("postgres")
    stack.supervisor.release("postgres")
    return "kill -9"


def drop_database_connections(stack: Stack, chance: random.Random) -> str:
    """pg_terminate_backend of some or all of our connections."""
    share = chance.choice((0.3, 1.0))
    try:
        with stack.database() as database:
            rows = database.execute(
                "SELECT pid FROM pg_stat_activity "
                "WHERE usename = current_user AND pid <> pg_backend_pid() ORDER BY pid"
            ).fetchall()
            doomed = [row[0] for row in rows if chance.random() < share]
            for process in doomed:
                database.execute("SELECT pg_terminate_backend(%s)", [process])
            return f"{len(doomed)} of {len(rows)}"
    except psycopg.Error:
        return "it was away"


def lock_the_jobs(stack: Stack, chance: random.Random) -> str:
    """Somebody holds the table of jobs for a while."""
    locked = threading.Event()

    def hold() -> None:
        try:
            with stack.database() as database, database.transaction():
                database.execute("SET LOCAL lock_timeout = '3s'")
                database.execute("LOCK TABLE jobs_job IN EXCLUSIVE MODE")
                locked.set()
                time.sleep(_LOCKED_SECONDS)
        except psycopg.Error:
            return

    threading.Thread(target=hold, daemon=True).start()
    return f"for {_LOCKED_SECONDS} s" if locked.wait(4) else "the lock could not be had"


STEPS = (restart_postgres, kill_postgres, drop_database_connections, lock_the_jobs)
