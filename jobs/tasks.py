"""The Celery tasks of the server queues, and the chores. Each calls one function."""

from __future__ import annotations

import os
from typing import Any
from uuid import UUID

from celery import Task, shared_task

from jobs import disk, live, recovery, retention, runner, thumbnails
from jobs import sweep as sweeping
from jobs import tally as tallies
from webhooks import delivery as webhooks


@shared_task(name="jobs.run", bind=True)
def run(self: Task[Any, Any], job_id: str, attempt: int) -> None:
    """One attempt of a job."""
    runner.run(job_id=UUID(job_id), attempt=int(attempt), worker=_worker(self))


@shared_task(name="jobs.recover", bind=True)
def recover(self: Task[Any, Any], server_id: int, attempt: int) -> None:
    """Find out what became of a generation whose worker is gone."""
    recovery.recover(server_id=int(server_id), attempt=int(attempt), worker=_worker(self))


@shared_task(name="jobs.tally", queue="chores", ignore_result=True)
def tally() -> None:
    """Count what has happened since the last count."""
    tallies.advance()


@shared_task(name="jobs.advance_webhooks", queue="chores", ignore_result=True)
def advance_webhooks() -> None:
    """Tell those who asked to be called."""
    webhooks.advance(live.scopes)


@shared_task(name="jobs.collect")
def collect(job_id: str, attempt: int) -> None:
    """Finish a drawn job whose worker died before its pictures were attached."""
    recovery.collect(job_id=UUID(job_id), attempt=int(attempt))


@shared_task(name="jobs.look_at_disks", queue="chores", ignore_result=True)
def look_at_disks() -> None:
    """See how much room there is."""
    disk.look()


@shared_task(name="jobs.make_thumbnails", queue="chores", ignore_result=True)
def make_thumbnails() -> None:
    """Make some of the thumbnails that are due."""
    thumbnails.make_due()


@shared_task(name="jobs.sweep", queue="chores", ignore_result=True)
def sweep() -> None:
    """Remove some of what crashes and time left behind."""
    sweeping.sweep()


@shared_task(name="jobs.apply_retention", queue="chores", ignore_result=True)
def apply_retention() -> None:
    """Remove some of what was kept for long enough."""
    retention.apply()


def _worker(task: Task[Any, Any]) -> str:
    return f"{task.request.hostname}:{os.getpid()}"
