"""Removing what crashes and time leave behind, a bounded part at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import timedelta

from django.conf import settings
from django.db import transaction

from events import forgetting, idempotency
from events.models import Event
from jobs import images, strays
from jobs.models import Job, SweepMark
from jobs.strays import Part

logger = logging.getLogger(__name__)

MISSING = "missing pictures"
"""The step that removes nothing: it counts rows whose file is gone."""
_SEEN = "events seen"
"""Not a step: its mark holds the last event there was at the last sweep."""


def is_needed() -> bool:
    """Whether anything has happened since the last sweep, or that one went only part of the way.

    Where nothing happens a sweep would do no more than wake the disks.
    """
    marks = dict(SweepMark.objects.values_list("step", "cursor"))
    seen = marks.pop(_SEEN, None)
    return seen != _last_event() or any(marks.values())


def sweep() -> None:
    """Go one part further in each step, and say in one line what was found.

    While the folder of the pictures can't be used, what lies in it is left alone.
    """
    SweepMark.objects.update_or_create(step=_SEEN, defaults={"cursor": _last_event()})
    steps = dict(_STEPS)
    try:
        images.require_there()
        steps |= _STEPS_WITH_PICTURES
    except OSError as error:
        logger.info("the sweep leaves the pictures alone: %s", error)
    found = {name: _go_on(name, step) for name, step in steps.items()}
    words = [f"{count} {name}" for name, count in found.items() if count]
    logger.info("sweep: %s", ", ".join(words) or "nothing to do")


def missing_pictures() -> int:
    """Rows of pictures whose file was gone in the last whole round."""
    mark = SweepMark.objects.filter(step=MISSING).first()
    return mark.found_last if mark else 0


def _last_event() -> str:
    newest = Event.objects.order_by("-id").values_list("id", flat=True).first()
    return str(newest or "")


def _go_on(name: str, step: Callable[[str], Part]) -> int:
    """Do one part of a step. Returns what it counted."""
    mark, _ = SweepMark.objects.get_or_create(step=name)
    try:
        part = step(mark.cursor)
    except OSError as error:
        logger.warning("sweep of %s: %s", name, error)
        return 0
    found = mark.found + part.count
    is_whole = not part.go_on_after
    SweepMark.objects.filter(step=name).update(
        cursor=part.go_on_after,
        found=0 if is_whole else found,
        found_last=found if is_whole else mark.found_last,
    )
    return part.count


def _forget_events(after: str) -> Part:
    age = timedelta(seconds=settings.EVENTS_KEPT)
    done = forgetting.forget(age=age, after=int(after or 0), alive=_alive)
    return Part(done.count, str(done.go_on_after or ""))


def _alive(job_ids: Collection[str]) -> Collection[str]:
    jobs = Job.objects.filter(id__in=job_ids).exclude(status__in=Job.ENDED)
    return {str(job_id) for job_id in jobs.values_list("id", flat=True)}


def _forget_answers(after: str) -> Part:
    with transaction.atomic():
        return Part(idempotency.forget_expired())


_STEPS: dict[str, Callable[[str], Part]] = {
    "unused inputs": strays.remove_unused_inputs,
    "stray inputs": strays.remove_stray_inputs,
    "old events": _forget_events,
    "expired answers": _forget_answers,
}
_STEPS_WITH_PICTURES: dict[str, Callable[[str], Part]] = {
    "staging folders": strays.remove_dead_staging,
    "stray pictures": strays.remove_stray_pictures,
    "stray thumbnails": strays.remove_stray_thumbnails,
    MISSING: strays.count_missing_pictures,
}
