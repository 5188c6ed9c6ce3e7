"""Having small versions of pictures made, by a child process that may die of a picture."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIZES = {"small": 256, "large": 768}
"""The longest side of each size, in pixels."""
CONTENT_TYPE = "image/webp"
PATIENCE = 180
"""Seconds that the child may take for all it is given at once."""


@dataclass(frozen=True)
class Order:
    """A picture, and where which sizes of it are to go: the longest side in pixels by path."""

    source: Path
    targets: Mapping[Path, int]


def make(orders: Sequence[Order]) -> list[dict[str, Any]]:
    """Carry out the orders. Returns the maker's answers, as `imaging.thumbnail_maker` says.

    There are fewer than orders if it died; the last one is about the picture that it died of.
    """
    if not orders:
        return []
    lines = [
        json.dumps(
            {
                "source": str(order.source),
                "targets": {str(path): side for path, side in order.targets.items()},
            }
        )
        for order in orders
    ]
    said, ending = _run_child("".join(f"{line}\n" for line in lines))
    answers: list[dict[str, Any]] = [json.loads(line) for line in said.split("\n")[:-1]]
    if len(answers) < len(orders):
        answers.append({"spoiled": f"the program that reads it {ending}"})
    return answers


def _run_child(orders: str) -> tuple[str, str]:
    """What the maker said, in whole lines, and how it ended."""
    child = subprocess.Popen(
        [sys.executable, "-m", "imaging.thumbnail_maker"],
        cwd=Path(__file__).resolve().parent.parent,
        # None of our secrets, and out of reach of a Ctrl-C that is meant for us.
        env={},
        start_new_session=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        said, _ = child.communicate(orders, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        said, _ = child.communicate()
        return said, "took too long"
    return said, f"ended with {child.returncode}"
