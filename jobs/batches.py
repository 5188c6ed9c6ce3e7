"""How far batches are. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Count, Sum, Value
from django.db.models.functions import Coalesce

from jobs.models import Batch, Job


@dataclass
class Tally:
    """The jobs of one batch, counted."""

    total: int
    by_status: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Job.Status.values, 0))
    drawn: float = 0
    """What is done of the jobs that are processing, in jobs."""

    @property
    def deleted(self) -> int:
        return self.total - sum(self.by_status.values())

    @property
    def alive(self) -> int:
        """Jobs that have not ended."""
        return self.by_status[Job.Status.PENDING] + self.by_status[Job.Status.PROCESSING]

    @property
    def fraction(self) -> float:
        """How much of the batch is over, from 0 to 1."""
        return 1 - (self.alive - self.drawn) / self.total


def tallies(batches: Sequence[Batch]) -> dict[UUID, Tally]:
    """Count the jobs of each batch, in one query."""
    found = {batch.id: Tally(total=batch.total) for batch in batches}
    rows = (
        Job.objects.filter(batch__in=found)
        .values("batch", "status")
        # A processing job whose slot is free again is only being saved.
        .annotate(count=Count("id"), drawn=Sum(Coalesce("slot__progress", Value(1.0))))
        .values_list("batch", "status", "count", "drawn")
    )
    for batch_id, status, count, drawn in rows:
        found[batch_id].by_status[status] = count
        if status == Job.Status.PROCESSING:
            found[batch_id].drawn = drawn
    return found
