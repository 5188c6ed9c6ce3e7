"""The examples of the documentation, each a file of `docs/examples`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stablequeue_project.api.reference.operation import Operation

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "examples"


def example(described: Operation) -> dict[str, Any]:
    """Return the operation's example: `request` and `response`, as far as there are."""
    if not described.example:
        return {}
    read: dict[str, Any] = json.loads((FOLDER / f"{described.example}.json").read_text())
    return read
