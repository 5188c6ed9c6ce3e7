"""Writing through a database that is away for a while."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)

Written = TypeVar("Written")


def insist(write: Callable[[], Written]) -> Written:
    """Do `write`, again and again while the database cannot be reached; returns its value.

    For a worker that holds finished pictures: the write is guarded by its attempt, so
    repeating one whose commit got through changes nothing. Raises the database's error
    after settings.DATABASE_PATIENCE seconds.
    """
    deadline = time.monotonic() + settings.DATABASE_PATIENCE
    while True:
        try:
            return write()
        except (OperationalError, InterfaceError):
            connection.close()
            if time.monotonic() > deadline:
                raise
            logger.warning("the database cannot be reached; trying again")
            time.sleep(settings.WORKER_BEAT)
