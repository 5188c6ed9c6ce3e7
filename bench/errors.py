"""What keeps a benchmark from giving a figure."""

from __future__ import annotations


class BenchError(Exception):
    """The figures asked for cannot be had; the text says why."""
