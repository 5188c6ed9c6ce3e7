"""What keeps a chaos run from saying anything about the product."""

from __future__ import annotations


class ChaosError(Exception):
    """The run cannot go on; the text says why."""
