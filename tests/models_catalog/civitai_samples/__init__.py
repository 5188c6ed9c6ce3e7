"""Answers of Civitai's API, of several years."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def sample(name: str) -> Any:
    """Read one."""
    return json.loads((Path(__file__).parent / f"{name}.json").read_text())
