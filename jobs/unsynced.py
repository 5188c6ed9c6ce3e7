"""Commits that do not wait for the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def unsynced() -> Iterator[None]:
    """A transaction that everybody sees at once, but that a power cut may undo.

    For steps that are harmless to lose: an admission, a claim, a beat, a slot given back.
    A later synced commit (`slots.mark_sent`, before anything leaves for Forge) makes all
    earlier ones durable with it, since the log is written in order.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO off")
        yield
