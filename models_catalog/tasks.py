"""The chores of the catalogue, on a queue of their own. Each takes one thread, or none."""

from __future__ import annotations

from celery import shared_task
from celery.worker import state

from models_catalog import hashing, scanner


@shared_task(name="models_catalog.scan", queue="scans", ignore_result=True)
def scan() -> None:
    """Look through the folders, if that is due."""
    scanner.scan(_is_leaving)


@shared_task(name="models_catalog.hash", queue="scans", ignore_result=True)
def hash_files() -> None:
    """Hash files for a while."""
    hashing.hash_due(_is_leaving)


def _is_leaving() -> bool:
    """Whether this worker was told to stop."""
    return state.should_stop is not None or state.should_terminate is not None
