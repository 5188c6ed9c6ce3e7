"""Taking a job out for good: its row first, then the files that lay there for its sake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from events import log
from jobs import images, inputs, slots, thumbnails
from jobs.models import Job


@dataclass(frozen=True)
class Files:
    """What lies on disk for the sake of a job."""

    pictures: Sequence[str]
    inputs: Sequence[str]

    def remove(self) -> None:
        """To be called once the removal of the row is committed. The sweep makes up for it."""
        images.remove(self.pictures)
        thumbnails.remove(self.pictures)
        inputs.forget_unused(self.inputs)


def take_out(job: Job, changes: Sequence[log.Change], *, because: str | None = None) -> Files:
    """Delete a job whose row is locked; records this after `changes`. Returns what it leaves."""
    files = Files(
        pictures=list(job.images.values_list("name", flat=True)),
        inputs=list(job.inputs.values_list("sha256", flat=True)),
    )
    said: dict[str, Any] = {"status": None, **({"because": because} if because else {})}
    deleted = log.Change("job.deleted", "job", str(job.id), said)
    slots.detach([job.id])
    job.delete()
    log.record([*changes, deleted])
    return files
