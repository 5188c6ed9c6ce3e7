"""When the chores are due. The dispatcher decides; the chores queue does them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from jobs import retention, sweep, thumbnails
from jobs.post import Post
from webhooks import delivery as webhooks


@dataclass(frozen=True)
class Chore:
    """A task of the chores queue, the seconds between two, and whether there is work."""

    task: str
    every: float
    is_needed: Callable[[], bool] = lambda: True


class Timetable:
    """Remembers when each chore was last sent."""

    def __init__(self) -> None:
        self._sent_at: dict[str, float] = {}
        self._chores = (
            Chore("jobs.look_at_disks", settings.DISK_LOOK_EVERY),
            Chore("jobs.make_thumbnails", settings.THUMBNAILS_EVERY, thumbnails.are_due),
            Chore("jobs.apply_retention", settings.RETENTION_EVERY, retention.is_set),
            Chore("jobs.tally", settings.TALLY_EVERY),
            Chore("jobs.advance_webhooks", settings.WEBHOOKS_EVERY, webhooks.is_due),
            Chore("jobs.sweep", settings.SWEEP_EVERY, sweep.is_needed),
        )

    def send_due(self, post: Post) -> None:
        """Send what is due. What was sent and not begun by the next time is dropped."""
        now = time.monotonic()
        for chore in self._chores:
            if now - self._sent_at.get(chore.task, float("-inf")) < chore.every:
                continue
            if chore.is_needed() and post.chore(chore.task, expires=chore.every):
                self._sent_at[chore.task] = now
