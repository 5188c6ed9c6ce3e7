"""Messages in Redis that are old, doubled, about nobody, or no messages at all."""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Sequence

import psycopg
from celery import Celery
from kombu.exceptions import OperationalError
from redis import RedisError

from chaos.stack import Stack

_LOST = (OperationalError, RedisError, OSError)
_GARBAGE = (b"", b"{", b"null", b"[1, 2]", b'{"body": 1}', b"\x80\x04\x95")


def repeat_messages(stack: Stack, chance: random.Random) -> str:
    """Every attempt of late is handed out again: ended ones, and ones under way."""
    try:
        with stack.database() as database:
            rows = database.execute(
                "SELECT job.id::text, job.attempt, server.queue_name FROM jobs_job AS job "
                "JOIN servers_server AS server ON server.id = job.server_id "
                "WHERE job.attempt > 0 ORDER BY job.updated_at DESC LIMIT 8"
            ).fetchall()
    except psycopg.Error:
        return "the database was away"
    times = chance.choice((1, 3))
    messages = [("jobs.run", (row[0], row[1]), str(row[2])) for row in rows for _ in range(times)]
    chance.shuffle(messages)
    return send(stack, messages)


def ask_for_recoveries(stack: Stack, chance: random.Random) -> str:
    """Slots that nobody has lost are to be recovered."""
    try:
        with stack.database() as database:
            rows = database.execute(
                "SELECT slot.server_id, slot.attempt, server.queue_name FROM jobs_slot AS slot "
                "JOIN servers_server AS server ON server.id = slot.server_id ORDER BY server.id"
            ).fetchall()
    except psycopg.Error:
        return "the database was away"
    return send(stack, [("jobs.recover", (row[0], row[1]), str(row[2])) for row in rows])


def send_nonsense(stack: Stack, chance: random.Random) -> str:
    """Jobs that are not there, arguments of the wrong kind, a task nobody has."""
    queue = _a_queue(stack, chance)
    if queue is None:
        return "the database was away"
    stranger = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    messages: list[tuple[str, Sequence[object], str]] = [
        ("jobs.run", (stranger, 1), queue),
        ("jobs.run", ("no job", -1), queue),
        ("jobs.run", (), queue),
        ("jobs.recover", (10**9, 1), queue),
        ("no.such.task", (), queue),
    ]
    chance.shuffle(messages)
    return send(stack, messages)


def push_garbage(stack: Stack, chance: random.Random) -> str:
    """Bytes that are no message."""
    queue, garbage = _a_queue(stack, chance), chance.choice(_GARBAGE)
    if queue is None:
        return "the database was away"
    with stack.redis() as client, contextlib.suppress(RedisError):
        client.lpush(queue, garbage)
        return f"{garbage!r} into {queue}"
    return "Redis was away"


def _a_queue(stack: Stack, chance: random.Random) -> str | None:
    number = chance.randrange(len(stack.forges))
    with contextlib.suppress(psycopg.Error), stack.database() as database:
        rows = database.execute("SELECT queue_name FROM servers_server ORDER BY id").fetchall()
        return str(rows[number % len(rows)][0])
    return None


def send(stack: Stack, messages: Sequence[tuple[str, Sequence[object], str]]) -> str:
    """Send tasks, each with its arguments and its queue; say how many got there."""
    with stack.redis() as client:
        url = client.connection_pool.connection_kwargs
        app = Celery(broker=f"redis://:{url['password']}@{url['host']}:{url['port']}/{url['db']}")
    app.conf.broker_transport_options = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0}
    sent = 0
    try:
        for task, arguments, queue in messages:
            app.send_task(task, args=arguments, queue=queue, retry=False, ignore_result=True)
            sent += 1
    except _LOST:
        return f"{sent} of {len(messages)}, then Redis was away"
    finally:
        app.close()
    return f"{sent} messages"


STEPS = (repeat_messages, ask_for_recoveries, send_nonsense, push_garbage)
