"""The one process that decides what runs next.

It talks only to Postgres and Redis, never to a Forge: one machine that swallows packets
must not slow the others. All its writes go over the connection that holds its advisory
lock, so a dispatcher that loses the connection can no longer decide anything, and a
second one, standing by, takes over.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import threading
import time
from enum import Enum
from typing import Any

import psycopg
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from events import log
from jobs import broker_health, disk, presence, scheduling
from jobs.chores import Timetable
from jobs.failpoints import Failpoint, reach
from jobs.leadership import Standby
from jobs.lifecycle import admit, withdraw
from jobs.models import Process, Slot
from jobs.post import Message, Post
from jobs.rescue import Rescuer, waiting_for_a_worker
from servers import fleet, rests
from servers.models import Health, Server

logger = logging.getLogger(__name__)


BREATH = 0.005
"""Seconds of rest after a look that found nothing to admit."""
LONG_BREATH = 0.01
"""Seconds of rest after news that are of no interest: a burst of submits while all is busy."""
ATTENTION = 0.2
"""Seconds after which a stop is noticed at the latest."""


class News(Enum):
    """What the last notices were about."""

    #: Jobs only: of no interest while every slot is taken.
    JOBS = "jobs"
    #: A slot was given back.
    SLOTS = "slots"
    #: A server, a disk or the whole queue, or simply time has passed.
    EVERYTHING = "everything"


class Dispatcher:
    """Admits jobs to free slots, sends their messages, and rescues what died on the way."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._rescuer = Rescuer(dead_after=settings.LEASE_DEAD_TICKS)
        self._post = Post()
        self._chores = Timetable()
        self._probed_at: dict[int, float] = {}
        self._pause = ""
        self._has_idle_slot = True
        self._name = f"dispatcher@{socket.gethostname()}:{os.getpid()}"

    def stop(self) -> None:
        """Ask `run` to return; callable from a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Lead whenever the lock can be had, until stopped. Outlives the database."""
        standby = Standby(self._name)
        while not self._stopping.is_set():
            try:
                if standby.try_to_lead():
                    self._lead()
                    _drop_connection()
            except (OperationalError, InterfaceError) as error:
                logger.warning("lost the database: %s", str(error).partition("\n")[0])
                _drop_connection()
            self._stopping.wait(settings.DISPATCHER_TICK)
        self._say_goodbye()

    def _lead(self) -> None:
        logger.info("%s leads", self._name)
        broker_health.warn_of_eviction()
        # What it remembers of an earlier time as leader is of no use: beats have gone on.
        self._rescuer = Rescuer(dead_after=settings.LEASE_DEAD_TICKS)
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {log.CHANNEL}")
            # Nothing that a dispatcher decides is lost with a power cut but what it would
            # decide again.
            cursor.execute("SET synchronous_commit TO off")
        scheduling.be_quick()
        next_tick = time.monotonic()
        news = News.EVERYTHING
        while not self._stopping.is_set():
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + settings.DISPATCHER_TICK
                self._tick()
                news = News.EVERYTHING
            if news is News.EVERYTHING:
                self._heed_the_disks()
                rests.mind_the_hours()
                _open_slots()
                _keep_back()
                self._probe()
            if not self._pause and (news is not News.JOBS or self._has_idle_slot):
                self._admit()
            else:
                self._stopping.wait(LONG_BREATH)
            if news is not News.JOBS:
                _end_drains()
            news = _wait_for_news(next_tick - time.monotonic(), self._stopping)

    def _say_goodbye(self) -> None:
        with contextlib.suppress(OperationalError, InterfaceError):
            presence.forget(name=self._name)
        _drop_connection()

    def _tick(self) -> None:
        """What time alone makes due."""
        presence.note(name=self._name, role=Process.Role.DISPATCHER)
        presence.forget_the_dead()
        unsaved = map(Message.to_collect, self._rescuer.look())
        self._post.redeliver([*map(Message.about, waiting_for_a_worker()), *unsaved])
        self._chores.send_due(self._post)

    def _heed_the_disks(self) -> None:
        before, self._pause = self._pause, disk.pause()
        if bool(before) != bool(self._pause):
            logger.warning("admissions %s", f"pause: {self._pause}" if self._pause else "go on")

    def _admit(self) -> None:
        turn = scheduling.next_turn()
        self._has_idle_slot = turn.has_idle_slot
        for choice in turn.choices:
            job_id, queue = choice.job_id, choice.queue_name
            attempt = _promise(choice)
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
        seen = Server.objects.active().values_list("id", "health", "held_until")
        for server_id, health, held_until in seen:
            well = health == Health.ONLINE and held_until is None
            every = settings.PROBE_HEALTHY_EVERY if well else settings.PROBE_TROUBLED_EVERY
            last = self._probed_at.get(server_id)
            if last is not None and now - last < every:
                due[server_id] = last
            elif self._post.probe(server_id):
                due[server_id] = now
        self._probed_at = due


def _promise(choice: scheduling.Choice) -> int | None:
    """Admit the job, and keep who was passed by that. Returns what `admit` does."""
    chosen: dict[str, Any] = {"job_id": choice.job_id, "last_attempt": choice.last_attempt}
    if not choice.standings:
        return admit(**chosen, server_id=choice.server_id)
    with transaction.atomic():
        attempt = admit(**chosen, server_id=choice.server_id)
        if attempt is not None:
            scheduling.keep_standings(choice.server_id, choice.standings)
    return attempt


def _drop_connection() -> None:
    """Close the connection for real: back in the pool it would keep the lock."""
    if connection.connection is not None:
        connection.connection.close()
    connection.close()


def _open_slots() -> None:
    without = Server.objects.active().filter(slot=None)
    Slot.objects.bulk_create((Slot(server=server) for server in without), ignore_conflicts=True)


def _keep_back() -> None:
    """Take back what was promised on servers that are to start no job any more."""
    for job_id, attempt in scheduling.promised_in_vain():
        withdraw(job_id=job_id, attempt=attempt)


def _end_drains() -> None:
    for server_id in scheduling.drained():
        fleet.end_drain(server_id=server_id)


def _wait_for_news(seconds: float, stopping: threading.Event) -> News:
    """Sleep until something was committed that may matter, or `seconds` have passed.

    A stop is noticed soon, too: another dispatcher can only lead once this one has let go.
    """
    until = time.monotonic() + seconds
    notices: list[psycopg.Notify] = []
    connection.ensure_connection()
    with connection.wrap_database_errors:
        while not notices and not stopping.is_set() and (left := until - time.monotonic()) > 0:
            notices += connection.connection.notifies(timeout=min(left, ATTENTION), stop_after=1)
        notices += connection.connection.notifies(timeout=0)
    kinds = {json.loads(notice.payload)["kind"] for notice in notices}
    if any(kind.startswith(("server.", "storage.", "queue.")) for kind in kinds):
        return News.EVERYTHING
    return News.SLOTS if "slot.freed" in kinds else News.JOBS
