"""The pause of the whole queue: nothing is started on any server; what runs ends."""

from __future__ import annotations

from django.db import transaction
from django.db.models.functions import Now

from events import log
from jobs.models import Queue


def state() -> Queue:
    """The queue as it is now."""
    return Queue.objects.first() or Queue()


def pause(*, reason: str = "") -> Queue:
    """Start no further job anywhere, until somebody resumes. `reason` is shown on waiting jobs."""
    with transaction.atomic():
        Queue.objects.bulk_create([Queue()], ignore_conflicts=True)
        queue = Queue.objects.select_for_update().get()
        if not queue.is_paused or queue.reason != reason:
            changed = Queue.objects.filter(id=queue.id)
            changed.update(is_paused=True, reason=reason, paused_at=Now())
            log.record([log.Change("queue.paused", "queue", "", {"reason": reason})])
    return state()


def resume() -> Queue:
    """Let jobs be started again."""
    with transaction.atomic():
        if Queue.objects.filter(is_paused=True).update(is_paused=False, reason="", paused_at=None):
            log.record([log.Change("queue.resumed", "queue", "")])
    return state()
