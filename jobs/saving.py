"""Saving pictures on a disk that refuses for a while: what is drawn is not drawn again."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from django.conf import settings

from jobs import disk, lifecycle
from jobs.insist import insist
from jobs.leaving import Leaving, departure
from jobs.models import Job

Saved = TypeVar("Saved")


def patiently(step: Callable[[], Saved], *, job: Job) -> Saved | None:
    """Do a step of saving, again and again while the disk refuses.

    Meanwhile nothing is admitted to any server. Returns None when the job is no longer
    this attempt's, or when this worker has to go: another one then takes the job up. Raises
    the disk's error after settings.SAVE_PATIENCE seconds.
    """
    deadline = time.monotonic() + settings.SAVE_PATIENCE
    while True:
        try:
            return step()
        except OSError as error:
            if time.monotonic() > deadline:
                raise
            if _has_to_go() or not insist(partial(_wait_on, job, error)):
                return None
        time.sleep(settings.WORKER_BEAT)


def _has_to_go() -> bool:
    try:
        departure.require_time()
    except Leaving:
        return True
    return False


def _wait_on(job: Job, error: OSError) -> bool:
    disk.note_refusal(error)
    return lifecycle.keep_saving(job_id=job.id, attempt=job.attempt)
