"""Which events a reader wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from events.entries import Scope

FINAL = frozenset({"job.completed", "job.failed", "job.cancelled", "job.deleted"})
"""After one of these nothing happens to a job, unless a person tries it again."""


@dataclass(frozen=True)
class Filter:
    """What is empty asks for nothing in particular; what is given must all fit."""

    kinds: Sequence[str] = ()
    """Kinds of events, like `job.completed`, or several at once, like `job.*`."""
    job: str = ""
    batch: str = ""
    server: str = ""
    key: str = ""
    """The id of the API key with which the job was submitted."""

    def takes(self, kind: str, job_id: str | None, scope: Scope) -> bool:
        """Say whether an event of this kind, about this, is wanted."""
        return (
            (not self.kinds or any(fnmatchcase(kind, wanted) for wanted in self.kinds))
            and (not self.job or self.job == job_id)
            and (not self.batch or self.batch == scope.batch)
            and (not self.server or self.server.lower() == scope.server.lower())
            and (not self.key or self.key == scope.key)
        )
