"""Faults on demand: what goes wrong, when, how often, for which prompts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any


class Stage(Enum):
    """The moment at which a fault is met."""

    ARRIVAL = "when the request of a generation arrives"
    LOAD = "before the first step"
    MODEL = "at the choice of the checkpoint"
    MIDWAY = "at half of the steps"
    ANSWER = "when the answer of a generation is sent"
    INTERRUPT = "at POST interrupt"
    PROGRESS = "at POST /internal/progress"
    NOW = "at once"


KINDS: dict[str, tuple[Stage, float]] = {
    "never_begin": (Stage.ARRIVAL, 3600.0),
    "slow_load": (Stage.LOAD, 5.0),
    "wrong_model": (Stage.MODEL, 0.0),
    "error_500_text": (Stage.MIDWAY, 0.0),
    "error_500_json": (Stage.MIDWAY, 0.0),
    "oom": (Stage.MIDWAY, 0.0),
    "hang": (Stage.MIDWAY, 3600.0),
    "close_midway": (Stage.MIDWAY, 0.0),
    "die": (Stage.MIDWAY, 0.0),
    "truncate": (Stage.ANSWER, 0.0),
    "not_json": (Stage.ANSWER, 0.0),
    "html": (Stage.ANSWER, 0.0),
    "drip": (Stage.ANSWER, 5.0),
    "no_images": (Stage.ANSWER, 0.0),
    "not_png": (Stage.ANSWER, 0.0),
    "fewer_images": (Stage.ANSWER, 0.0),
    "huge_image": (Stage.ANSWER, 0.0),
    "ignore_interrupt": (Stage.INTERRUPT, 0.0),
    "progress_500": (Stage.PROGRESS, 0.0),
    "progress_hang": (Stage.PROGRESS, 30.0),
    "forget_tasks": (Stage.NOW, 0.0),
    "refuse": (Stage.NOW, 2.0),
}
"""Each fault's moment, and the seconds it lasts when none are said (0: it has no length)."""


class UnknownFaultError(ValueError):
    """A fault was asked for that does not exist, or with a value that makes no sense."""


@dataclass(frozen=True)
class Fault:
    """One fault, met `times` times by generations whose prompt contains `match`."""

    kind: str
    times: int = 1
    seconds: float = 0.0
    match: str = ""

    @property
    def stage(self) -> Stage:
        return KINDS[self.kind][0]


def make(kind: Any, *, times: Any = 1, seconds: Any = None, match: Any = "") -> Fault:
    """A fault from values that came from outside. Raises UnknownFaultError."""
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownFaultError(f"There is no fault {kind!r}. There are: {', '.join(KINDS)}.")
    if not isinstance(times, int) or isinstance(times, bool) or times < 1:
        raise UnknownFaultError(f"times must be a whole number from 1, not {times!r}.")
    lasts = KINDS[kind][1] if seconds is None else seconds
    if not isinstance(lasts, int | float) or isinstance(lasts, bool) or not 0 <= lasts <= 86400:
        raise UnknownFaultError(f"seconds must be a number from 0 to 86400, not {seconds!r}.")
    if not isinstance(match, str):
        raise UnknownFaultError(f"match must be a part of a prompt, not {match!r}.")
    return Fault(kind, times, float(lasts), match)


class FaultPlan:
    """The faults still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def take(self, stage: Stage, prompt: str = "") -> Fault | None:
        """The first fault for this moment and prompt, used up once; None if there is none."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.stage is stage and fault.match in prompt:
                    left = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    self._faults[index : index + 1] = left
                    return fault
        return None

    @property
    def left(self) -> int:
        """How many kinds of faults are still to come."""
        with self._lock:
            return len(self._faults)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
