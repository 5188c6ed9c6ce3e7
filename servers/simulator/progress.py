"""What others see of the work meanwhile, and how they may disturb it.

/internal/progress is about one task id, /sdapi/v1/progress about whoever runs now, and
so is an interrupt: it means nobody in particular.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Literal

from servers.simulator import pictures
from servers.simulator.faults import FaultPlan, Stage
from servers.simulator.journal import Interrupt, Journal
from servers.simulator.options import Options
from servers.simulator.state import State, Tasks


class Progress:
    """The present work, for those who ask. `lock` is held for each glance and each change."""

    def __init__(
        self,
        options: Options,
        *,
        journal: Journal,
        faults: FaultPlan,
        lock: threading.Condition,
    ) -> None:
        self.tasks = Tasks()
        self.state = State()
        self.shown: tuple[str, tuple[int, int]] | None = None
        """Key and size of the picture being drawn, for previews."""
        self._options = options
        self._journal = journal
        self._faults = faults
        self._lock = lock
        self._last_active_poll: tuple[str, float] | None = None

    def of_task(self, task_id: str | None, preview_id: int, wants_preview: bool) -> dict[str, Any]:
        """The answer of /internal/progress."""
        with self._lock:
            flags = self.tasks.flags(task_id)
            if task_id is None or not flags["active"]:
                return {
                    **flags,
                    "progress": None,
                    "eta": None,
                    "live_preview": None,
                    "id_live_preview": -1,
                    "textinfo": self.tasks.waiting_text(task_id),
                }
            self._last_active_poll = (task_id, time.time())
            preview = None
            if wants_preview and self._options["live_previews_enable"]:
                self._renew_preview()
                if self.state.preview is not None and self.state.preview_id != preview_id:
                    preview = "data:image/png;base64," + pictures.as_base64(self.state.preview)
                    preview_id = self.state.preview_id
            share = self.state.share
            return {
                **flags,
                "progress": share,
                "eta": self.state.elapsed / share - self.state.elapsed if share > 0 else None,
                "live_preview": preview,
                "id_live_preview": preview_id,
                "textinfo": None,
            }

    def overall(self, *, skip_image: bool) -> dict[str, Any]:
        """The answer of /sdapi/v1/progress."""
        with self._lock:
            busy = self.state.job_count != 0
            share, image = 0.0, None
            if busy:
                share = min(self.state.share + 0.01, 1.0)
                self._renew_preview()
                if self.state.preview is not None and not skip_image:
                    image = pictures.as_base64(self.state.preview)
            return {
                "progress": share,
                "eta_relative": self.state.elapsed / share - self.state.elapsed if busy else 0.0,
                "state": self.state.as_json(),
                "current_image": image,
                "textinfo": None,
            }

    def interrupt(self) -> None:
        """Stop whoever runs now, after the present step."""
        obeyed = self._faults.take(Stage.INTERRUPT) is None
        with self._lock:
            self._note("interrupt", obeyed=obeyed)
            self.state.interrupted = self.state.interrupted or obeyed

    def interrupt_from_page(self) -> bool:
        """The page's button: with several batches the first click ends after the present one.

        Whether it was such a first click.
        """
        with self._lock:
            gently = (
                not self.state.stopping_generation
                and self.state.job_count > 1
                and self._options["interrupt_after_current"]
            )
            if not gently:
                self.interrupt()
                return False
            self._note("interrupt", obeyed=True)
            self.state.stopping_generation = True
            return True

    def skip(self) -> None:
        """End the present batch of whoever runs now, and go on with the next one."""
        with self._lock:
            self._note("skip", obeyed=True)
            self.state.skipped = True

    def forget_tasks(self) -> None:
        with self._lock:
            self.tasks.forget()

    @property
    def pending(self) -> list[str]:
        with self._lock:
            return self.tasks.pending

    def wait_until_known(self, task_id: str, timeout: float = 5.0) -> bool:
        """Whether the id was heard of in time, in `timeout` seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: self.tasks.known(task_id), timeout)

    def _renew_preview(self) -> None:
        """Take a new preview when enough steps have passed since the last one."""
        state, every = self.state, self._options["show_progress_every_n_steps"]
        if every < 1 or state.sampling_step - state.preview_step < every or self.shown is None:
            return
        key, (width, height) = self.shown
        small = max(1, width // 4), max(1, height // 4)
        done = state.sampling_step / max(state.sampling_steps, 1)
        state.preview = pictures.encode(pictures.draw(key, small, done))
        state.preview_step = state.sampling_step
        state.preview_id += 1

    def _note(self, kind: Literal["interrupt", "skip"], *, obeyed: bool) -> None:
        now, running = time.time(), self.tasks.current if self.state.job else None
        poll = self._last_active_poll
        checked, age = (poll[0], now - poll[1]) if poll else (None, None)
        since = age if checked == running else None
        self._journal.interrupt(Interrupt(kind, now, running, since, obeyed, checked, age))
