"""Looking at something that may never answer, for many who ask at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class BoundedLook(Generic[T]):
    """One look for all who ask within `fresh_for` seconds, in a thread of its own.

    A look that hangs takes this one thread, however many ask; they are told None. The next
    one begins when it has returned.
    """

    def __init__(self, look: Callable[[], T], *, fresh_for: float) -> None:
        self._look = look
        self._fresh_for = fresh_for
        self._lock = threading.Lock()
        self._found: Future[T] | None = None
        self._done_at = 0.0

    def begin(self) -> Future[T]:
        """Begin to look, unless somebody else has just done so."""
        with self._lock:
            found = self._found
            if found is None or (
                found.done() and time.monotonic() > self._done_at + self._fresh_for
            ):
                found = self._found = Future()
                # No pool: its threads are waited for when the process ends, and this may hang.
                threading.Thread(target=self._run, args=(found,), daemon=True).start()
            return found

    def _run(self, found: Future[T]) -> None:
        try:
            seen = self._look()
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            self._done_at = time.monotonic()
            found.set_exception(error)
        else:
            self._done_at = time.monotonic()
            found.set_result(seen)


def seen_by(found: Future[T], deadline: float) -> T | None:
    """What a look has found by `deadline` (of time.monotonic); None if it found nothing."""
    try:
        return found.result(max(0.0, deadline - time.monotonic()))
    except Late:
        return None
    except Exception as error:  # noqa: BLE001 - that it failed is the finding
        logger.debug("a look failed: %s", error)
        return None
