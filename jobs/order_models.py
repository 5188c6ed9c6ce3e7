"""The records of whose turn it is: the queue's own pause, and how keys stand in each line."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from servers.models import Server


class Queue(models.Model):
    """Whether anything is started at all; one row, made when somebody pauses the queue first."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    is_paused = models.BooleanField(default=False)
    # Why, in the words of who paused it.
    reason = models.CharField(max_length=200, blank=True, default="")
    paused_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(name="queue_is_one", condition=Q(id=1))]

    def __str__(self) -> str:
        return "the queue, paused" if self.is_paused else "the queue"


class Standing(models.Model):
    """How a key stands in one server's line. Written by the dispatcher, with each admission.

    Kept here and not in the dispatcher, so that another one goes on where it stopped. Moments
    are seconds since 1970 by the database's clock.
    """

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="standings")
    # Of a key that may be gone, or nil for what our own page submitted.
    owner = models.UUIDField()
    # Jobs of other keys that were started since its last turn, while it had one waiting.
    passed = models.PositiveIntegerField(default=0)
    passed_since = models.FloatField(null=True)
    # Its own jobs that went before an older one: [class, priority, position, moment] each.
    skips = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["server", "owner"], name="standing_once_per_key")
        ]

    def __str__(self) -> str:
        return f"{self.owner} at server {self.server_id}, passed {self.passed} times"
