"""The record of what changed: history and replay log in one; and of what was answered."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


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


class Horizon(models.Model):
    """Up to where events may be missing, since some were kept for long enough. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    event_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"events may be missing up to {self.event_id}"


class AnswerQuerySet(models.QuerySet["Answer"]):
    """Filters that read like English."""

    def fresh(self) -> AnswerQuerySet:
        return self.filter(created_at__gt=Now() - Answer.KEPT)

    def expired(self) -> AnswerQuerySet:
        return self.filter(created_at__lte=Now() - Answer.KEPT)


class Answer(models.Model):
    """What a request with an Idempotency-Key was answered, to answer its repeats alike."""

    KEPT: ClassVar = timedelta(hours=24)

    # Who asked: the id of an API key, or "page".
    scope = models.CharField(max_length=36)
    route = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    # A keyed SHA-256 of the request's body.
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    # The JSON as it was sent; empty if it held a secret.
    body = models.TextField(blank=True)
    # What was made, named instead of a body that held a secret.
    created_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = AnswerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["scope", "route", "key"], name="answer_once_per_key")
        ]
        indexes = [models.Index(fields=["created_at"], name="answer_oldest")]

    def __str__(self) -> str:
        return f"{self.status} to {self.route} of {self.scope}"
