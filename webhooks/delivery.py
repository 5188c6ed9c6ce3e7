"""One round of the webhooks: hand the log on, send what is due, tidy up."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from events.entries import PAGE, Scopes
from events.filters import FINAL
from webhooks.models import Delivery, Endpoint
from webhooks.sending import send_due
from webhooks.spreading import spread, switch_off_the_overfull

_AT_A_TIME = threading.BoundedSemaphore(2)
"""Receivers that do not answer must not take all the threads of the chores."""
_ROUND_SECONDS = 10.0
_KEPT_AFTER_THE_END = timedelta(days=1)


def is_due() -> bool:
    """Whether there is anything to hand on or to send."""
    with connection.cursor() as cursor:
        cursor.execute(_IS_DUE)
        return bool(cursor.fetchone()[0])


_IS_DUE = """
    SELECT EXISTS (SELECT 1 FROM webhooks_delivery WHERE due_at <= now())
        OR coalesce((SELECT max(id) FROM events_event), 0) > greatest(
            (SELECT min(after_event) FROM webhooks_endpoint WHERE disabled_at IS NULL),
            CASE WHEN EXISTS (SELECT 1 FROM webhooks_endpoint WHERE disabled_at IS NULL)
                 THEN (SELECT event_id FROM webhooks_mark)
                 ELSE 9223372036854775807 END
           )
"""


def advance(scopes: Scopes) -> None:
    """Do what is due, for a while. What is left is due again at once."""
    if not _AT_A_TIME.acquire(blocking=False):
        return
    try:
        deadline = time.monotonic() + _ROUND_SECONDS
        while time.monotonic() < deadline:
            count = spread(scopes)
            if not send_due() and count < PAGE:
                break
        switch_off_the_overfull()
        forget_the_done()
    finally:
        _AT_A_TIME.release()


def forget_the_done() -> None:
    """Remove endpoints of single jobs and batches that have nothing more to be told."""
    for_one = Endpoint.objects.filter(Q(job_id__isnull=False) | Q(batch_id__isnull=False))
    theirs = Delivery.objects.filter(endpoint=OuterRef("pk"))
    told_the_end = theirs.filter(kind__in=FINAL, ended_at__lt=Now() - _KEPT_AFTER_THE_END)
    is_old = Q(created_at__lt=Now() - timedelta(seconds=settings.EVENTS_KEPT))
    is_done = Q(job_id__isnull=False) & Exists(told_the_end)
    waiting = Exists(theirs.filter(due_at__isnull=False))
    for_one.filter(is_old | is_done).exclude(waiting).delete()
