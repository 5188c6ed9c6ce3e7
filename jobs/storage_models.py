"""The records of storage: what was seen of the disks, what is to be kept, how far a sweep is."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Now


class DiskQuerySet(models.QuerySet["Disk"]):
    """Filters that read like English."""

    def reasons_to_hold(self) -> models.QuerySet[Disk, str]:
        """The sentences that say why nothing may be admitted; the pictures' disk first.

        Words that nobody repeats stop to count: whoever saw it may be gone.
        """
        seen = ~Q(reason="") & Q(seen_at__gt=Now() - _seconds(settings.DISK_FACTS_KEPT))
        refused = Q(refused_at__gt=Now() - _seconds(settings.DISK_REFUSAL_KEPT))
        why = Case(When(seen, then=F("reason")), default=F("refusal"))
        holding = self.filter(seen | refused).annotate(why=why).order_by("-folder")
        return holding.values_list("why", flat=True)


class Disk(models.Model):
    """A folder's disk as it was last seen by a process that has the folder.

    The dispatcher, which may run where the folder is not, decides by this row.
    """

    class Folder(models.TextChoices):
        PICTURES = "pictures"
        INPUTS = "inputs"

    folder = models.CharField(max_length=8, choices=Folder, primary_key=True)
    # Null while it cannot be told.
    free_bytes = models.BigIntegerField(null=True)
    total_bytes = models.BigIntegerField(null=True)
    # Why nothing may be admitted, as the last look found; empty if all is well.
    reason = models.CharField(max_length=500, blank=True, default="")
    seen_at = models.DateTimeField(null=True)
    # What a worker met that could not write, and when.
    refusal = models.CharField(max_length=500, blank=True, default="")
    refused_at = models.DateTimeField(null=True)

    objects = DiskQuerySet.as_manager()

    def __str__(self) -> str:
        return f"disk of the {self.folder}"


class KeepRule(models.Model):
    """How long ended jobs are kept; one row, made when somebody sets it. Null is for ever."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    keep_days = models.PositiveIntegerField(null=True)
    # Of all pictures and thumbnails together.
    keep_bytes = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(name="keep_rule_is_one", condition=Q(id=1))]

    def __str__(self) -> str:
        return f"keep {self.keep_days or 'any'} days, {self.keep_bytes or 'any'} bytes"


class SweepMark(models.Model):
    """Where a step of the sweep goes on, as it looks at a part of everything at a time."""

    step = models.CharField(max_length=32, primary_key=True)
    # The last one looked at; empty at the beginning.
    cursor = models.CharField(max_length=200, blank=True, default="")
    # What the round under way has found, and what the whole one before it did.
    found = models.PositiveIntegerField(default=0)
    found_last = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.step} after {self.cursor!r}"


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)
