"""What is known about a run: plain rows, from whoever can say it. Nothing here judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """One wish of a client, and what became of it as far as the client was told."""

    marker: str
    """Stands in the prompt of every job that this wish may have made."""
    key: str = ""
    """Its Idempotency-Key; empty without one."""
    accepted: tuple[tuple[str, ...], ...] = ()
    """The job ids of each answer 2xx, in the order of the answers."""


@dataclass(frozen=True)
class Told:
    """What clients were told about jobs that they changed later. All are job ids."""

    cancelled: frozenset[str] = frozenset()
    deleted: frozenset[str] = frozenset()
    maybe_deleted: frozenset[str] = frozenset()
    """Deletions were asked for and never answered."""


@dataclass(frozen=True)
class JobRow:
    """A job as the database has it."""

    id: str
    status: str
    attempt: int
    retry_count: int
    seed: int
    prompt: str
    pictures_asked: int
    pictures_named: tuple[str, ...]
    """In its result."""
    reason: str = ""
    """Why it waits, for people; empty unless pending."""


@dataclass(frozen=True)
class ImageRow:
    """A picture as the database has it."""

    job_id: str
    name: str
    sha256: str


@dataclass(frozen=True)
class EventRow:
    """One stored change of a job. None: the event says nothing of it."""

    id: int
    kind: str
    job_id: str
    status: str | None = None
    attempt: int | None = None


@dataclass(frozen=True)
class Start:
    """One generation that a Forge began. Times are seconds since the epoch."""

    server: str
    task_id: str
    seed: int | None
    arrived_at: float
    started_at: float
    ended_at: float | None
    """None while it draws."""
    outcome: str = "completed"

    @property
    def job_id(self) -> str:
        """The job it was for; a name that is no job's if it was somebody else's."""
        return self.task_id[:36]


@dataclass(frozen=True)
class Interrupt:
    """One interrupt of ours that a Forge received."""

    server: str
    at: float
    task_id: str | None
    """Whose generation it met; None when idle."""
    checked_task_id: str | None
    """Which task that Forge last called active to one who asked."""
    seconds_since_check: float | None


@dataclass(frozen=True)
class Facts:
    """All that the oracles may know."""

    asked: Sequence[Asked] = ()
    told: Told = Told()
    jobs: Mapping[str, JobRow] = field(default_factory=dict)
    images: Sequence[ImageRow] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """Name and SHA-256 of every picture on disk."""
    staging: Sequence[str] = ()
    is_swept: bool = True
    """Whether what dead workers left on disk should be gone by now."""
    events: Sequence[EventRow] = ()
    """In the order of their ids."""
    starts: Sequence[Start] = ()
    interrupts: Sequence[Interrupt] = ()
    frozen: Sequence[tuple[float, float]] = ()
    """When a process was stopped, and when it went on."""
    leaks: Sequence[tuple[str, str]] = ()
    """Which secret was found, and where."""
    slots_held: Sequence[str] = ()
    """Servers whose slot is not free, though all is quiet."""
    healing_seconds: float | None = 0.0
    """None: it did not heal."""
    healing_limit: float = 60.0

    def accepted(self) -> set[str]:
        """Return all jobs whose acceptance a client was told."""
        return {job for asked in self.asked for answer in asked.accepted for job in answer}

    def leftovers(self) -> list[str]:
        """Return what lies on disk and belongs to no picture: files without rows, staging."""
        return [*sorted(set(self.files) - {image.name for image in self.images}), *self.staging]

    def is_ours(self, task_id: str | None) -> bool:
        """Whether a generation was sent by us: nobody else's has the form of a job's id."""
        return task_id is not None and len(task_id) > 36 and task_id[:36].count("-") == 4
