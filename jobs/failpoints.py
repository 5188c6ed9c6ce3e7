"""Places where a test can make this process fail, and what happens there.

`STABLEQUEUE_FAILPOINT` arms them: `after_claim:kill9`, several between commas, or `@/folder`,
where a file named like a failpoint holds the action and is used up by the first who comes
by. Only in tests; `settings` refuses the variable anywhere else. Pure; no Django model.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)


class Failpoint(StrEnum):
    """The steps of a job's way, in their order. Each is reached at one place in the code."""

    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    AFTER_ADMIT = "after_admit"
    AFTER_POST = "after_post"
    BEFORE_CLAIM = "before_claim"
    AFTER_CLAIM = "after_claim"
    BEFORE_SEND = "before_send"
    AFTER_RESPONSE = "after_response"
    BEFORE_COMPLETE = "before_complete"
    AFTER_PUBLISH = "after_publish"
    AFTER_COMPLETE = "after_complete"
    BEAT = "beat"
    BEFORE_RECOVER = "before_recover"
    AFTER_RECOVER = "after_recover"
    AFTER_COLLECT = "after_collect"


class FailpointError(Exception):
    """What the action `raise` raises."""


@dataclass(frozen=True)
class Action:
    """What happens at a failpoint: `raise`, `kill9`, `sleep=SECONDS` or `hang`."""

    word: str
    seconds: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Action:
        """Read an action. Raises ValueError with a sentence."""
        word, _, seconds = text.strip().partition("=")
        if word not in {"raise", "kill9", "sleep", "hang"} or (seconds and word != "sleep"):
            raise ValueError(f"{text!r} is no action: raise, kill9, sleep=SECONDS or hang.")
        return cls(word, float(seconds or 90) if word == "sleep" else 0.0)

    def perform(self, name: Failpoint) -> None:
        """Fail as told."""
        logger.warning("failpoint %s: %s", name, self.word)
        match self.word:
            case "raise":
                raise FailpointError(name)
            case "kill9":
                os.kill(os.getpid(), signal.SIGKILL)
            case "sleep":
                time.sleep(self.seconds)
            case "hang":
                threading.Event().wait()


@dataclass(frozen=True)
class Plan:
    """What is armed in this process."""

    actions: Mapping[Failpoint, Action]
    folder: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Read the variable. Raises ValueError with a sentence."""
        if text.startswith("@"):
            return cls({}, Path(text[1:]))
        actions = {}
        for word in filter(None, (part.strip() for part in text.split(","))):
            name, _, action = word.partition(":")
            if name not in set(Failpoint):
                raise ValueError(f"There is no failpoint {name!r}: {', '.join(Failpoint)}.")
            actions[Failpoint(name)] = Action.parse(action)
        return cls(actions)

    def take(self, name: Failpoint) -> Action | None:
        """The action armed at `name`, if any. One from the folder is used up by this."""
        if self.folder is None:
            return self.actions.get(name)
        # Of several processes that come by at once, one can take it away.
        taken = self.folder / f".{name}-{os.getpid()}-{threading.get_ident()}"
        try:
            (self.folder / name).rename(taken)
            return Action.parse(taken.read_text())
        except FileNotFoundError:
            return None


def reach(name: Failpoint) -> None:
    """Be at a failpoint: nothing, unless a test armed it."""
    plan: Plan | None = settings.FAILPOINTS
    if plan is not None and (action := plan.take(name)) is not None:
        action.perform(name)
