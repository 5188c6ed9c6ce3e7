"""Removing ended jobs by age and by the room their pictures take; what is starred is spared."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db.models import F, Sum
from django.db.models.functions import Now

from jobs import lifecycle
from jobs.models import Image, Job, JobQuerySet, KeepRule

logger = logging.getLogger(__name__)

AT_ONCE = 300
"""Jobs that one call removes at most, for each reason."""


def rule() -> KeepRule:
    """What is to be kept; for ever, unless somebody said otherwise."""
    return KeepRule.objects.first() or KeepRule()


def set_rule(*, keep_days: int | None, keep_bytes: int | None) -> None:
    """Say how long ended jobs, and how many bytes of pictures and thumbnails, are kept."""
    KeepRule.objects.update_or_create(
        defaults={"keep_days": keep_days, "keep_bytes": keep_bytes}, id=1
    )


def is_set() -> bool:
    """Whether anything is ever to be removed."""
    kept = rule()
    return kept.keep_days is not None or kept.keep_bytes is not None


def apply() -> int:
    """Remove some of the jobs that were kept for long enough. Returns how many."""
    kept = rule()
    count = 0
    if kept.keep_days is not None:
        count += _remove_old(kept.keep_days)
    if kept.keep_bytes is not None:
        count += _remove_excess(kept.keep_bytes)
    if count:
        logger.info("retention removed %s jobs", count)
    return count


def _remove_old(days: int) -> int:
    old = _removable().filter(finished_at__lt=Now() - timedelta(days=days))
    ids = list(old.values_list("id", flat=True)[:AT_ONCE])
    return sum(lifecycle.expire(job_id=job_id, because="age") for job_id in ids)


def _remove_excess(keep_bytes: int) -> int:
    """Remove the oldest jobs with pictures until the others, and the starred, fit."""
    excess = _used_bytes() - keep_bytes
    if excess <= 0:
        return 0
    # A picture that was just drawn is there long enough to be fetched.
    settled = timedelta(seconds=settings.RETENTION_SPARES)
    jobs = _removable().filter(finished_at__lt=Now() - settled)
    takes = Sum(F("images__bytes") + F("images__thumbnail_bytes"))
    sized = jobs.annotate(takes=takes).filter(takes__gt=0).values_list("id", "takes")
    count = 0
    for job_id, takes_bytes in sized[:AT_ONCE]:
        if excess <= 0:
            break
        if lifecycle.expire(job_id=job_id, because="size"):
            count += 1
            excess -= takes_bytes
    return count


def _removable() -> JobQuerySet:
    """Ended jobs that nobody starred, the one that ended first first."""
    return Job.objects.filter(status__in=Job.ENDED, is_starred=False).order_by("finished_at", "id")


def _used_bytes() -> int:
    sums = Image.objects.aggregate(all=Sum(F("bytes") + F("thumbnail_bytes")))
    return sums["all"] or 0
