"""On what the figures were measured."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path


def describe() -> str:
    """Return one line: processor, memory, system, Python, and how busy the machine is already."""
    return ", ".join(
        (
            _first(r"^model name\s*:\s*(.+)$", "/proc/cpuinfo") or platform.processor() or "?",
            f"{len(os.sched_getaffinity(0))} cores",
            f"{_memory():.0f} GiB",
            f"{platform.system()} {platform.release()}",
            f"Python {platform.python_version()}",
            f"load {os.getloadavg()[0]:.1f}",
        )
    )


def _memory() -> float:
    return int(_first(r"^MemTotal:\s*(\d+)", "/proc/meminfo") or 0) / 2**20


def _first(pattern: str, file: str) -> str:
    try:
        found = re.search(pattern, Path(file).read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1].strip() if found else ""
