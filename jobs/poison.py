"""Telling a job that brings Forge down from one that had bad luck. Pure; no Django model."""

from __future__ import annotations

from collections.abc import Sequence

ENDS_FORGE = frozenset({"FORGE_CONNECTION_LOST"})
"""Codes of attempts in whose middle Forge was gone."""

ENOUGH = 2
"""A job in whose middle Forge was gone so often is not given to it again by itself."""

CODE = "POISON"


def is_poison(codes: Sequence[str], code: str) -> bool:
    """Whether a job whose earlier tries failed with `codes` is given up after this one's `code`."""
    return code in ENDS_FORGE and sum(each in ENDS_FORGE for each in (*codes, code)) >= ENOUGH


def sentence(alias: str, message: str) -> str:
    """What a person is told of such a job."""
    return (
        f"{alias} went down in the middle of this job {ENOUGH} times, so it is not tried again by "
        f"itself. Ask for less (a smaller size, fewer pictures), or retry it. Last: {message}"
    )
