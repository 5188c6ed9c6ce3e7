"""The Celery tasks of the server queues. Each takes ids and calls one function."""

from __future__ import annotations

import os
from typing import Any
from uuid import UUID

from celery import Task, shared_task

from jobs import recovery, runner


@shared_task(name="jobs.run", bind=True)
def run(self: Task[Any, Any], job_id: str, attempt: int) -> None:
    """One attempt of a job."""
    runner.run(job_id=UUID(job_id), attempt=int(attempt), worker=_worker(self))


@shared_task(name="jobs.recover", bind=True)
def recover(self: Task[Any, Any], server_id: int, attempt: int) -> None:
    """Find out what became of a generation whose worker is gone."""
    recovery.recover(server_id=int(server_id), attempt=int(attempt), worker=_worker(self))


@shared_task(name="jobs.collect")
def collect(job_id: str, attempt: int) -> None:
    """Finish a drawn job whose worker died before its pictures were attached."""
    recovery.collect(job_id=UUID(job_id), attempt=int(attempt))


def _worker(task: Task[Any, Any]) -> str:
    return f"{task.request.hostname}:{os.getpid()}"
