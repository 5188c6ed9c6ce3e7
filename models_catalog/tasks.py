"""The chores of the catalogue; the long ones have a queue of their own, and take a thread each."""

from __future__ import annotations

from celery import shared_task
from celery.worker import state

from models_catalog import hashing, preview_thumbnails, scanner


@shared_task(name="models_catalog.scan", queue="scans", ignore_result=True)
def scan() -> None:
    """Look through the folders, if that is due."""
    scanner.scan(_is_leaving)


@shared_task(name="models_catalog.hash", queue="scans", ignore_result=True)
def hash_files() -> None:
    """Hash files for a while."""
    hashing.hash_due(_is_leaving)


@shared_task(name="models_catalog.make_thumbnails", queue="chores", ignore_result=True)
def make_thumbnails() -> None:
    """Make some of the thumbnails of previews that are due."""
    preview_thumbnails.make_due()


def _is_leaving() -> bool:
    """Whether this worker was told to stop."""
    return state.should_stop is not None or state.should_terminate is not None
