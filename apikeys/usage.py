"""Counts how often each key is used, without a write on every request.

Uses are added up in the process and stored by one UPDATE every `FLUSH_SECONDS`, so the
numbers of a page are a few seconds old at most. A database that is away costs nothing
but delay: what could not be stored is kept and tried again. Uses of the last moments
before a process is killed are not counted.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import Error as DatabaseError
from django.db import connection
from django.utils import timezone

FLUSH_SECONDS = 2.0

logger = logging.getLogger(__name__)

_STORE = """
    UPDATE apikeys_apikey AS stored
       SET usage_count = stored.usage_count + used.times,
           last_used_at = GREATEST(stored.last_used_at, used.at)
      FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[]) AS used (id, times, at)
     WHERE stored.id = used.id
"""


@dataclass(frozen=True)
class Uses:
    """How often one key was used since the last flush, and when last."""

    times: int
    last_at: datetime


class UsageCounter:
    """The uses of this process that are not stored yet. Safe to call from many threads."""

    def __init__(self, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._flush_seconds = flush_seconds
        self._lock = threading.Lock()
        self._pending: dict[uuid.UUID, Uses] = {}
        self._flushes_itself = False
        self._flusher: threading.Timer | None = None

    def start(self) -> None:
        """Flush by itself from now on; without this only `flush` stores anything.

        The thread is made at the first use, so this may be called before a server forks.
        """
        self._flushes_itself = True

    def count(self, key_id: uuid.UUID) -> None:
        """Note one use of a key, now."""
        with self._lock:
            self._add(key_id, Uses(1, timezone.now()))
            if self._flushes_itself and not (self._flusher and self._flusher.is_alive()):
                self._flusher = threading.Timer(self._flush_seconds, self._flush_until_stored)
                self._flusher.daemon = True
                self._flusher.start()

    def flush(self) -> bool:
        """Store what is pending in one UPDATE; say whether nothing had to be kept back."""
        with self._lock:
            batch, self._pending = self._pending, {}
        if not batch:
            return True
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    _STORE,
                    [
                        list(batch),
                        [uses.times for uses in batch.values()],
                        [uses.last_at for uses in batch.values()],
                    ],
                )
        except DatabaseError as error:
            kind = type(error).__name__
            logger.warning("uses of %d API keys not stored yet: %s", len(batch), kind)
            with self._lock:
                for key_id, uses in batch.items():
                    self._add(key_id, uses)
            return False
        return True

    @property
    def is_idle(self) -> bool:
        """Say whether nothing is pending and no thread is at work."""
        with self._lock:
            return not self._pending and self._flusher is None

    def _add(self, key_id: uuid.UUID, uses: Uses) -> None:
        known = self._pending.get(key_id)
        if known:
            uses = Uses(known.times + uses.times, max(known.last_at, uses.last_at))
        self._pending[key_id] = uses

    def _flush_until_stored(self) -> None:
        """Run in the flusher's thread; it ends when nothing is pending."""
        while True:
            self.flush()
            connection.close()
            with self._lock:
                if not self._pending:
                    self._flusher = None
                    return
            time.sleep(self._flush_seconds)


usage = UsageCounter()
"""The counter of this process."""
