"""What Forge tells about its work: the ids of tasks, and how far the present one is.

Nothing here locks: the engine changes it, and each answer is made from one glance.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

REMEMBERED_TASKS = 16
"""Forge forgets a finished id when this many others have finished after it."""


class Tasks:
    """Forge's book of task ids. Ids need not be unique; the answers then overlap."""

    def __init__(self) -> None:
        self.current: str | None = None
        self._pending: OrderedDict[str, None] = OrderedDict()
        self._finished: deque[str] = deque(maxlen=REMEMBERED_TASKS)

    def add(self, task_id: str) -> None:
        self._pending[task_id] = None

    def start(self, task_id: str) -> None:
        self.current = task_id or None
        self._pending.pop(task_id, None)

    def finish(self, task_id: str) -> None:
        """Called only after success for API tasks, so a failed one stays current."""
        if self.current == (task_id or None):
            self.current = None
        if task_id:
            self._finished.append(task_id)

    def forget(self) -> None:
        """Know no id any more, as after a restart."""
        self.current = None
        self._pending.clear()
        self._finished.clear()

    @property
    def pending(self) -> list[str]:
        return list(self._pending)

    def at_work(self, task_id: str) -> bool:
        """Whether it runs or waits for Forge's lock."""
        return task_id == self.current or task_id in self._pending

    def known(self, task_id: str) -> bool:
        return task_id == self.current or task_id in self._pending or task_id in self._finished

    def flags(self, task_id: str | None) -> dict[str, bool]:
        return {
            "active": task_id is not None and task_id == self.current,
            "queued": task_id in self._pending,
            "completed": task_id in self._finished,
        }

    def waiting_text(self, task_id: str | None) -> str:
        waiting = self.pending
        if task_id not in waiting:
            return "Waiting..."
        return f"In queue: {waiting.index(task_id) + 1}/{len(waiting)}"


@dataclass
class State:
    """Forge's global state. It belongs to no task: whoever runs now is meant."""

    skipped: bool = False
    interrupted: bool = False
    stopping_generation: bool = False
    """The page's first click on interrupt: end after the present picture."""
    job: str = ""
    job_count: int = 0
    job_timestamp: str = field(default_factory=lambda: _timestamp())
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0
    started: float = 0.0
    preview_id: int = 0
    preview: bytes | None = None
    preview_step: int = 0

    def begin(self, job: str) -> None:
        """A run takes over. How many steps it has is not known before its model is loaded."""
        self.skipped = self.interrupted = self.stopping_generation = False
        self.job, self.job_count, self.job_no = job, -1, 0
        self.job_timestamp = _timestamp()
        self.sampling_step = 0
        self.started = time.monotonic()
        self.preview_id, self.preview, self.preview_step = 0, None, 0

    def next_job(self) -> None:
        self.job_no += 1
        self.sampling_step = self.preview_step = 0

    def end(self, *, forget_stop: bool) -> None:
        """The run is over.

        `interrupted` stays until the next one begins, unless the run was the page's own.
        """
        self.job, self.job_count = "", 0
        if forget_stop:
            self.skipped = self.interrupted = self.stopping_generation = False

    @property
    def share(self) -> float:
        """The finished part of the present run, 0 to 1. The last step is never in it."""
        if self.job_count == 0:
            return 0.0
        done = max(0.0, self.job_no / self.job_count)
        if self.sampling_steps > 0:
            done += self.sampling_step / self.sampling_steps / self.job_count
        return min(done, 1.0)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def as_json(self) -> dict[str, Any]:
        return {
            "skipped": self.skipped,
            "interrupted": self.interrupted,
            "stopping_generation": self.stopping_generation,
            "job": self.job,
            "job_count": self.job_count,
            "job_timestamp": self.job_timestamp,
            "job_no": self.job_no,
            "sampling_step": self.sampling_step,
            "sampling_steps": self.sampling_steps,
        }


def _timestamp() -> str:
    return time.strftime("%Y%m%d%H%M%S")
