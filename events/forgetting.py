"""Dropping what the log has kept for long enough."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Greatest, Now

from events.models import Event, Horizon

AT_ONCE = 5000


@dataclass(frozen=True)
class Forgotten:
    """How many events were dropped, and after which id to go on; 0 is the beginning."""

    count: int
    go_on_after: int


def forget(
    *, age: timedelta, after: int, alive: Callable[[Collection[str]], Collection[str]]
) -> Forgotten:
    """Drop some of the events older than `age`, beginning after the id `after`.

    `alive` is given ids of jobs and returns those whose events stay, however old.
    """
    window = Event.objects.filter(id__gt=after).order_by("id")[:AT_ONCE]
    ids = list(window.values_list("id", flat=True))
    old = Event.objects.filter(id__in=ids, at__lt=Now() - age)
    rows = list(old.values_list("id", "subject_type", "subject_id"))
    jobs = {subject_id for _, subject_type, subject_id in rows if subject_type == "job"}
    spared = set(alive(jobs)) if jobs else set()
    doomed = [row_id for row_id, kind, subject in rows if kind != "job" or subject not in spared]
    if doomed:
        with transaction.atomic():
            Horizon.objects.get_or_create()
            Horizon.objects.update(event_id=Greatest("event_id", max(doomed)))
            Event.objects.filter(id__in=doomed).delete()
    went_through = len(rows) == len(ids) == AT_ONCE
    return Forgotten(len(doomed), ids[-1] if went_through else 0)
