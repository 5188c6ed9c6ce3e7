"""The record of what changed: history and replay log in one."""

from __future__ import annotations

from django.db import models


class Event(models.Model):
    """One stored change. `id` is the position in the log, visible in order to every reader."""

    at = models.DateTimeField(auto_now_add=True)
    kind = models.CharField(max_length=64)
    subject_type = models.CharField(max_length=32)
    # No foreign key: the event of a deletion outlives its subject.
    subject_id = models.CharField(max_length=64)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["subject_type", "subject_id", "id"], name="event_subject")]

    def __str__(self) -> str:
        return f"{self.id} {self.kind} {self.subject_type} {self.subject_id}"
