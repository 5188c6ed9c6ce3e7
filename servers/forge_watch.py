"""Following one generation while its answer is awaited: is it alive, and is it still ours?"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any, Protocol

from servers.forge_errors import (
    ForgeConnectionLost,
    ForgeError,
    ForgeStalled,
)
from servers.forge_replies import Activity, Generation, Progress
from servers.forge_timing import Timing


class Followed(Protocol):
    """A Forge at which a generation of ours is under way."""

    address: str
    timing: Timing

    def activity(self) -> Activity | None:
        """What that Forge as a whole is doing; None if it doesn't say."""

    def progress(
        self, task_id: str, *, preview: bool = False, preview_id: int = -1
    ) -> Progress: ...

    def stop(self, task_id: str, seen: Progress) -> None:
        """Stop the task, last seen so, if that is safe now."""


class Watch:
    """What is known of one generation while its answer is awaited.

    Patience is counted in rounds and not by a clock: a machine that slept for an hour has
    not waited for an hour.
    """

    def __init__(self, forge: Followed, task_id: str, *, preview: bool) -> None:
        self._forge = forge
        self._timing = forge.timing
        self._task_id = task_id
        self._preview = preview
        self._preview_id = -1
        self._activity: Activity | None = None
        self._last: Progress | None = None
        self._seen: object = None
        self._seen_active = False
        self._waited = 0.0
        self._quiet = 0.0
        self.stop_wanted = False
        self.foreign_interrupt = False

    @property
    def interval(self) -> float:
        timing = self._timing
        return timing.poll_short if self._waited < timing.short_phase else timing.poll

    def look(self) -> Progress | None:
        """Ask Forge how our task stands, and interrupt it if that is wanted and safe.

        None if Forge does not say. Its state as a whole may then still show that it works.
        """
        try:
            self._activity = activity = self._forge.activity()
            progress = self._forge.progress(
                self._task_id, preview=self._preview, preview_id=self._preview_id
            )
            self._notice_foreign_interrupt(activity, progress)
            if self.stop_wanted:
                self._forge.stop(self._task_id, progress)
        except ForgeError:
            return None
        self._preview_id = progress.preview_id
        return progress

    def look_back(self) -> None:
        """See, right after the answer, whether somebody else stopped our generation.

        Forge answers with a half-drawn picture and says nothing; its global state keeps the
        mark until the next job begins.
        """
        try:
            activity = self._forge.activity()
        except ForgeError:
            return
        if activity and activity.stopped and not activity.busy and not self.stop_wanted:
            self.foreign_interrupt = True

    def mark(self, generation: Generation) -> Generation:
        """The same generation, with what is known of who stopped it."""
        return replace(
            generation,
            interrupted=self.stop_wanted,
            foreign_interrupt=self.foreign_interrupt,
        )

    def note(self, progress: Progress | None) -> None:
        """Count one round. Raises ForgeError when patience is at its end.

        ForgeConnectionLost then says that the pictures are drawn and only do not arrive.
        """
        self._last = progress or self._last
        self._waited += self.interval
        self._quiet = 0.0 if self._is_sign_of_life(progress) else self._quiet + self.interval
        address = self._forge.address
        if self._quiet >= self._patience:
            if self._last is not None and self._last.state == "completed":
                raise ForgeConnectionLost(f"{address} drew, but its answer does not arrive.")
            raise ForgeStalled(
                f"{address} made no progress for {self._quiet:.0f} seconds; "
                "that Forge probably hangs and needs a restart."
            )
        if self._waited >= self._timing.cap:
            raise ForgeStalled(f"{address} did not answer within {self._timing.cap:.0f} seconds.")

    @property
    def _patience(self) -> float:
        last, activity = self._last, self._activity
        not_begun = last is not None and last.state == "active" and last.fraction == 0
        preparing = activity is not None and activity.preparing
        return self._timing.stall_loading if not_begun or preparing else self._timing.stall

    def _is_sign_of_life(self, progress: Progress | None) -> bool:
        """Whether anything moved since the last round, at our task if Forge tells of it."""
        if progress is not None and progress.state == "queued":
            return True
        seen: object = self._activity and self._activity.position
        if progress is not None:
            seen = (progress.state, progress.fraction)
        changed = seen != self._seen
        self._seen = seen
        return changed

    def _notice_foreign_interrupt(self, activity: Activity | None, progress: Progress) -> None:
        # The activity was asked first; only between two sights of our task is it surely ours.
        active = progress.state == "active"
        stopped = activity is not None and activity.stopped
        if stopped and active and self._seen_active and not self.stop_wanted:
            self.foreign_interrupt = True
        self._seen_active = active


def follow(
    answer: Future[Any],
    watch: Watch,
    threads: ThreadPoolExecutor,
    on_progress: Callable[[Progress | None], bool],
) -> None:
    """Look at the drawing in every poll interval until its answer is there."""
    look: Future[Progress | None] | None = None
    # At first there is nothing to see.
    wait((answer,), timeout=watch.interval)
    while not answer.done():
        round_ends = time.monotonic() + watch.interval
        look = look or threads.submit(watch.look)
        awaited: tuple[Future[Any], ...] = (answer, look)
        wait(awaited, timeout=watch.interval, return_when=FIRST_COMPLETED)
        if answer.done():
            break
        progress = look.result() if look.done() else None
        look = None if look.done() else look
        watch.note(progress)
        if on_progress(progress) and not watch.stop_wanted:
            watch.stop_wanted = True
        else:
            wait((answer,), timeout=max(0.0, round_ends - time.monotonic()))
