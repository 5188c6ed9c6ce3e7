"""Owning a data folder and keeping a stack alive on it: what `up` and `demo` share."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stablequeue_project.stack import engines, orphans, ports
from stablequeue_project.stack.console import Console
from stablequeue_project.stack.errors import StackError
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.ports import Address
from stablequeue_project.stack.processes import Process
from stablequeue_project.stack.readiness import READY_SECONDS, wait_until_ready
from stablequeue_project.stack.supervisor import Keeper


@contextlib.contextmanager
def owning(folder: DataFolder, address: Address, *, word: str) -> Iterator[list[Process]]:
    """Own `folder` while the block lasts, and yield the engines that have to run on it.

    Every process started inside is told where the engines are. Raises StackError when the
    folder or the address cannot be had.
    """
    folder.prepare()
    with folder.owned(word):
        ours = engines.embedded(folder)
        engines.prepare(folder, ours)
        ports.require_free(address, word=word)
        engines.announce(ours)
        os.environ[orphans.MARK] = str(folder.path)
        yield [engine.process() for engine in ours]


@dataclass(frozen=True)
class Stack:
    """A stack that is being kept alive, as a thread beside its keeper sees it."""

    folder: DataFolder
    address: Address
    console: Console
    keeper: Keeper

    @property
    def stopping(self) -> threading.Event:
        """Set as soon as a stop has begun."""
        return self.keeper.stopping_began

    def until_ready(self, *, patient: bool = True) -> bool:
        """Wait for the stack's own word that it works; False if that never comes.

        When it takes long, what is missing is said; only then an impatient caller gives up.
        """
        reason = wait_until_ready(self.address, self.stopping, READY_SECONDS)
        if reason and not self.stopping.is_set():
            self._say_what_is_missing(reason)
            if patient:
                reason = wait_until_ready(self.address, self.stopping, seconds=float("inf"))
        return reason is None

    def _say_what_is_missing(self, reason: str) -> None:
        missing = ", ".join(self.keeper.unfinished()) or "none of the processes"
        self.console.say(
            f"Not ready after {READY_SECONDS} s. Missing: {missing}. {reason}\n"
            f"The logs are in {self.folder.logs}. Still trying."
        )


def keep(
    folder: DataFolder,
    address: Address,
    everything: Sequence[Process],
    console: Console,
    beside: Callable[[Stack], None],
) -> None:
    """Keep `everything` alive until a signal, with `beside` in a thread of its own.

    Closes `console`. Raises StackError when a setting makes every start useless.
    """
    try:
        keeper = Keeper(folder, everything, console)
        stack = Stack(folder, address, console, keeper)
        threading.Thread(target=beside, args=(stack,), daemon=True).start()
        keeper.keep()
        console.say("Stopped.")
    finally:
        console.close()
    if keeper.gave_up_on:
        raise StackError(
            "SETTINGS_UNUSABLE",
            f"A setting is wrong: see the last line of {keeper.gave_up_on} above, "
            "and .env.example for all settings.",
        )
