"""How many jobs a key may have waiting. Keys without a limit cost nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from apikeys.models import ApiKey
from jobs.errors import TooManyWaiting
from jobs.models import Job


@contextmanager
def room_for(count: int, *, key: ApiKey | None) -> Iterator[None]:
    """Store so many further jobs of a key in this block. Raises TooManyWaiting.

    Exact also when the key's clients submit at the same time: they go one after the other.
    """
    if key is None or not key.max_waiting:
        yield
        return
    with transaction.atomic():
        ApiKey.objects.select_for_update(no_key=True).filter(id=key.id).first()
        waiting = Job.objects.pending().filter(owner=key.id).count()
        if waiting + count > key.max_waiting:
            raise TooManyWaiting(key.max_waiting, waiting)
        yield
