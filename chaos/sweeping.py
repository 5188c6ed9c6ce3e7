"""Letting the product clear away what its dead workers left on disk."""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from pathlib import Path

from chaos.stack import Stack
from chaos.steps.messages import send

_TASK, _QUEUE = "jobs.sweep", "chores"
_OLD_SECONDS = 100 * 86_400
"""Older than anything that the sweep still spares for its youth."""
_SECONDS = 15.0
_ASK_EVERY = 3.0


def is_there() -> bool:
    """Whether this StableQueue sweeps. Django has to be set up."""
    return hasattr(importlib.import_module("jobs.tasks"), "sweep")


def sweep(stack: Stack) -> None:
    """Have everything on disk swept as if it had lain there for long.

    Returns when the staging folder is empty, or after a while: the oracles see the rest.
    """
    outputs = stack.outputs()
    staging = outputs / ".staging"
    ends = time.monotonic() + _SECONDS
    while time.monotonic() < ends:
        for path in [*outputs.glob("*.png"), *staging.glob("*")]:
            _make_old(path)
        send(stack, [(_TASK, (), _QUEUE)])
        # One more time at least: a picture without a row goes with nothing that is seen here.
        time.sleep(_ASK_EVERY)
        if not any(staging.glob("*")):
            break


def _make_old(path: Path) -> None:
    then = time.time() - _OLD_SECONDS
    with contextlib.suppress(FileNotFoundError):
        os.utime(path, (then, then))
