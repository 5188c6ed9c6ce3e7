"""The one process that decides what runs next.

It talks only to Postgres and Redis, never to a Forge: one machine that swallows packets
must not slow the others. All its writes go over the connection that holds its advisory
lock, so a dispatcher that loses the connection can no longer decide anything, and a
second one, standing by, takes over.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from enum import Enum

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from events import locks, log
from jobs import presence, scheduling
from jobs.failpoints import Failpoint, reach
from jobs.lifecycle import admit
from jobs.models import Process, Slot
from jobs.post import Message, Post
from jobs.rescue import Rescuer, waiting_for_a_worker
from servers.models import Health, Server

logger = logging.getLogger(__name__)


BREATH = 0.005
"""Seconds of rest after a look that found nothing to admit."""
LONG_BREATH = 0.01
"""Seconds of rest after news that are of no interest: a burst of submits while all is busy."""


class News(Enum):
    """What the last notices were about."""

    #: Jobs only: of no interest while every slot is taken.
    JOBS = "jobs"
    #: A slot was given back.
    SLOTS = "slots"
    #: A server, or simply time has passed.
    EVERYTHING = "everything"


class Dispatcher:
    """Admits jobs to free slots, sends their messages, and rescues what died on the way."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._rescuer = Rescuer(dead_after=settings.LEASE_DEAD_TICKS)
        self._post = Post()
        self._probed_at: dict[int, float] = {}
        self._has_idle_slot = True
        self._name = f"dispatcher@{socket.gethostname()}:{os.getpid()}"

    def stop(self) -> None:
        """Ask `run` to return; callable from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Lead whenever the lock can be had, until stopped. Outlives the database."""
        while not self._stopping.is_set():
            try:
                if _took_the_lead():
                    self._lead()
            except (OperationalError, InterfaceError) as error:
                logger.warning("lost the database: %s", str(error).partition("\n")[0])
            _drop_connection()
            self._stopping.wait(settings.DISPATCHER_TICK)

    def _lead(self) -> None:
        logger.info("%s leads", self._name)
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {log.CHANNEL}")
            # Nothing that a dispatcher decides is lost with a power cut but what it would
            # decide again.
            cursor.execute("SET synchronous_commit TO off")
        next_tick = time.monotonic()
        news = News.EVERYTHING
        while not self._stopping.is_set():
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + settings.DISPATCHER_TICK
                self._tick()
                news = News.EVERYTHING
            if news is News.EVERYTHING:
                _open_slots()
                self._probe()
            if news is not News.JOBS or self._has_idle_slot:
                self._admit()
            else:
                self._stopping.wait(LONG_BREATH)
            news = _wait_for_news(next_tick - time.monotonic())
        presence.forget(name=self._name)

    def _tick(self) -> None:
        """What time alone makes due."""
        presence.note(name=self._name, role=Process.Role.DISPATCHER)
        presence.forget_the_dead()
        unsaved = map(Message.to_collect, self._rescuer.look())
        self._post.redeliver([*map(Message.about, waiting_for_a_worker()), *unsaved])

    def _admit(self) -> None:
        turn = scheduling.next_turn()
        self._has_idle_slot = turn.has_idle_slot
        for choice in turn.choices:
            job_id, queue = choice.job_id, choice.queue_name
            attempt = admit(
                job_id=job_id, last_attempt=choice.last_attempt, server_id=choice.server_id
            )
            # None if the job was cancelled meanwhile.
            if attempt is not None:
                reach(Failpoint.AFTER_ADMIT)
                self._post.deliver(Message.to_run(job_id=job_id, attempt=attempt, queue=queue))
                reach(Failpoint.AFTER_POST)
        if not turn.choices:
            # A burst of submits is one look, not hundreds.
            self._stopping.wait(BREATH)

    def _probe(self) -> None:
        """Have servers looked at: those in trouble often, the others now and then."""
        now = time.monotonic()
        due = {}
        for server_id, health in Server.objects.active().values_list("id", "health"):
            well = health == Health.ONLINE
            every = settings.PROBE_HEALTHY_EVERY if well else settings.PROBE_TROUBLED_EVERY
            last = self._probed_at.get(server_id)
            if last is not None and now - last < every:
                due[server_id] = last
            elif self._post.probe(server_id):
                due[server_id] = now
        self._probed_at = due


def _took_the_lead() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [locks.DISPATCHER])
        return bool(cursor.fetchone()[0])


def _drop_connection() -> None:
    """Close the connection for real: back in the pool it would keep the lock."""
    if connection.connection is not None:
        connection.connection.close()
    connection.close()


def _open_slots() -> None:
    without = Server.objects.active().filter(slot=None)
    Slot.objects.bulk_create((Slot(server=server) for server in without), ignore_conflicts=True)


def _wait_for_news(seconds: float) -> News:
    """Sleep until something was committed that may matter, or `seconds` have passed."""
    connection.ensure_connection()
    with connection.wrap_database_errors:
        notices = list(connection.connection.notifies(timeout=max(seconds, 0), stop_after=1))
        notices += connection.connection.notifies(timeout=0)
    kinds = {json.loads(notice.payload)["kind"] for notice in notices}
    if any(kind.startswith("server.") for kind in kinds):
        return News.EVERYTHING
    return News.SLOTS if "slot.freed" in kinds else News.JOBS
