"""What the servers have, asked of all of them at once and remembered for seconds.

A server that is slow or dead costs the caller its own time limit once, however many
servers there are, and is told apart in the answer. A server is asked one question of a
kind at a time; who comes meanwhile waits for the same answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import connection

from servers.forge import (
    Checkpoint,
    ForgeError,
    ForgeStalled,
    ForgeUnreachable,
    Lora,
    Timing,
)
from servers.forge_ways import Forge
from servers.models import Health, Server

PATIENCE = 2.5
"""Seconds a server has to connect and to answer."""
LIFE = 10.0
LIFE_OF_FAILURE = 3.0
"""Seconds an answer, or the lack of one, stands for the server."""

MAX_ENTRIES = 5_000
MAX_TEXT = 1_024
"""Entries taken from one list, and the longest text taken in any of them."""

_MAX_THREADS = 64
_HANDOVER = 0.25
"""Seconds left to a thread to tell why its time is up, before the caller goes on without it."""

E = TypeVar("E")


@dataclass(frozen=True)
class Question(Generic[E]):
    """One kind of list a Forge has."""

    kind: str
    ask: Callable[[Forge], tuple[E, ...]]
    texts: Callable[[E], Sequence[str]]
    """Every text of an entry; the first is its name, which must not be empty."""


CHECKPOINTS: Question[Checkpoint] = Question(
    "checkpoints",
    lambda forge: forge.checkpoints(),
    lambda entry: (entry.title, entry.model_name, entry.filename, entry.hash, entry.sha256),
)
LORAS: Question[Lora] = Question(
    "loras",
    lambda forge: forge.loras(),
    lambda entry: (entry.name, entry.alias, entry.path),
)
MODULES: Question[str] = Question("modules", lambda forge: forge.modules(), lambda name: (name,))
SAMPLERS: Question[str] = Question("samplers", lambda forge: forge.samplers(), lambda name: (name,))


@dataclass(frozen=True)
class Listing(Generic[E]):
    """One server's answer, or the error that stands in its place."""

    alias: str
    entries: tuple[E, ...] = ()
    left_out: int = 0
    """Entries that were not taken: nameless, of monstrous length, or too many."""
    error: ForgeError | None = None
    arrived_at: float | None = None
    """By the monotonic clock; None if the server was not asked, or has yet to answer."""

    @property
    def age(self) -> float | None:
        """Seconds since it arrived."""
        return None if self.arrived_at is None else time.monotonic() - self.arrived_at


class Asked(Generic[E]):
    """Questions under way, one for each server."""

    def __init__(self, pending: Sequence[tuple[Server, Future[Listing[E]]]]) -> None:
        self._pending = pending
        self._deadline = time.monotonic() + _timing().answer + _HANDOVER

    def collect(self) -> list[Listing[E]]:
        """Wait for the answers, no longer than a single server may take."""
        unanswered = [future for _, future in self._pending if not future.done()]
        if unanswered:
            _give_connection_back()
            wait(unanswered, timeout=max(0.0, self._deadline - time.monotonic()))
        return [
            future.result() if future.done() else _no_answer(server)
            for server, future in self._pending
        ]


@dataclass(frozen=True)
class _Known:
    """The last question of a kind to a server, as that server was configured then."""

    configured_at: datetime
    answer: Future[Any]

    def stands(self) -> bool:
        """Say whether it need not be asked again: still under way, or answered lately."""
        if not self.answer.done():
            return True
        if self.answer.exception() is not None:
            return False
        listing: Listing[Any] = self.answer.result()
        life = LIFE if listing.error is None else LIFE_OF_FAILURE
        return listing.age is not None and listing.age < life * settings.TIME_SCALE


class Listings:
    """The lists of this process. Safe to call from many threads."""

    def __init__(self) -> None:
        # Its threads begin with the first question, so a server may fork after this.
        self._threads = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="listing")
        self._lock = threading.Lock()
        self._known: dict[tuple[int, str], _Known] = {}

    def ask(self, servers: Iterable[Server], question: Question[E]) -> Asked[E]:
        """Begin to ask the servers; what is known from a moment ago is not asked again."""
        with self._lock:
            self._known = {key: known for key, known in self._known.items() if known.stands()}
            return Asked([(server, self._answer(server, question)) for server in servers])

    def _answer(self, server: Server, question: Question[E]) -> Future[Listing[E]]:
        if server.health == Health.OFFLINE:
            return _settled(_known_offline(server))
        key = (server.pk, question.kind)
        known = self._known.get(key)
        if known is None or known.configured_at != server.updated_at:
            future = self._threads.submit(_listing_of, server, question)
            known = self._known[key] = _Known(server.updated_at, future)
        return known.answer


LISTINGS = Listings()


def _listing_of(server: Server, question: Question[E]) -> Listing[E]:
    """Ask one server. Runs in a thread of its own, which has no use for the database."""
    try:
        answered = question.ask(server.client(_timing()))
    except ForgeError as error:
        return Listing(server.alias, error=error, arrived_at=time.monotonic())
    usable = tuple(entry for entry in answered if _is_usable(question.texts(entry)))[:MAX_ENTRIES]
    return Listing(
        server.alias,
        usable,
        left_out=len(answered) - len(usable),
        arrived_at=time.monotonic(),
    )


def _is_usable(texts: Sequence[str]) -> bool:
    return bool(texts[0]) and max(map(len, texts)) <= MAX_TEXT


def _timing() -> Timing:
    return Timing(connect=PATIENCE, answer=PATIENCE).scaled(settings.TIME_SCALE)


def _settled(listing: Listing[E]) -> Future[Listing[E]]:
    future: Future[Listing[E]] = Future()
    future.set_result(listing)
    return future


def _known_offline(server: Server) -> Listing[Any]:
    reason = server.health_reason or f"{server.address} is offline."
    return Listing(server.alias, error=ForgeUnreachable(reason))


def _no_answer(server: Server) -> Listing[Any]:
    sentence = f"{server.address} gave no answer within {_timing().answer:g} seconds."
    return Listing(server.alias, error=ForgeStalled(sentence))


def _give_connection_back() -> None:
    """Leave the database to others: its connections are few, and a wait here may be long."""
    if not connection.in_atomic_block:
        connection.close()
