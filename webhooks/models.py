"""Who is called when something happens, and each call."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apikeys.models import ApiKey

DEFAULT_EVENTS = ["job.completed", "job.failed", "job.cancelled"]


def default_events() -> list[str]:
    """What is told if nothing else is asked for."""
    return list(DEFAULT_EVENTS)


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    """Filters that read like English."""

    def standing(self) -> EndpointQuerySet:
        """Those that are there until somebody deletes them."""
        return self.filter(job_id=None, batch_id=None)

    def enabled(self) -> EndpointQuerySet:
        return self.filter(disabled_at=None)


class Endpoint(models.Model):
    """An address that is called. It stands by itself, or for one job or batch."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Null for one that was made on our own pages.
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, related_name="webhooks")
    url = models.CharField(max_length=1000)
    description = models.CharField(max_length=200, blank=True)
    events = ArrayField(models.CharField(max_length=64), default=default_events)
    # Of the events of jobs only those of jobs that the same key submitted.
    only_own_jobs = models.BooleanField(default=False)
    # Sealed. After a change the one before signs, too, for a while.
    secret = models.CharField(max_length=300)
    previous_secret = models.CharField(max_length=300, blank=True)
    previous_until = models.DateTimeField(null=True)
    # No foreign keys: the deletion of a job is told, too.
    job_id = models.UUIDField(null=True)
    batch_id = models.UUIDField(null=True)
    # It is told what comes later in the log.
    after_event = models.BigIntegerField()
    failing_since = models.DateTimeField(null=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = EndpointQuerySet.as_manager()

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(fields=["job_id"], name="webhook_job", condition=Q(job_id__isnull=False)),
            models.Index(
                fields=["batch_id"], name="webhook_batch", condition=Q(batch_id__isnull=False)
            ),
            models.Index(
                fields=["key"],
                name="webhook_standing",
                condition=Q(job_id__isnull=True, batch_id__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"webhook {str(self.id)[:8]}"


class Delivery(models.Model):
    """One event for one endpoint, from when it is due to when it has ended."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    event_id = models.BigIntegerField()
    kind = models.CharField(max_length=64)
    # As it is signed and sent, byte for byte the same each time.
    body = models.TextField()
    attempts = models.PositiveIntegerField(db_default=0)
    # Null once it has ended. While it is being sent: when it counts as lost and is due again.
    due_at = models.DateTimeField(null=True, db_default=Now())
    taken_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    last_attempt_at = models.DateTimeField(null=True)
    last_status = models.PositiveSmallIntegerField(null=True)
    last_error = models.CharField(max_length=300, blank=True, db_default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event_id"], name="delivery_once_per_event")
        ]
        indexes = [
            models.Index(fields=["due_at"], name="delivery_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["endpoint", "-ended_at"],
                name="delivery_ended",
                condition=Q(ended_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to webhook {str(self.endpoint_id)[:8]}"

    @property
    def message_id(self) -> str:
        """What receivers tell repetitions by."""
        return f"msg_{self.id.hex}"


class Mark(models.Model):
    """How far the event log has been handed to the endpoints. One row."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    event_id = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"handed on up to event {self.event_id}"
