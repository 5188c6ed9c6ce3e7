"""One row for a job and one for what happened to it."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now


class BareJob(models.Model):
    """An accepted job."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    server = models.TextField()
    parameters = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        managed = False
        db_table = "bare_job"

    def __str__(self) -> str:
        return str(self.id)


class BareEvent(models.Model):
    """What happened to it."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    kind = models.TextField()
    subject = models.UUIDField()

    class Meta:
        managed = False
        db_table = "bare_event"

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
