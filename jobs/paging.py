"""A part of a list that is ordered by time, found as fast at its end as at its start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)

_OPPOSITE = {"asc": "desc", "desc": "asc"}


def by_time(rows: QuerySet[Row], order: str) -> QuerySet[Row]:
    """Order by the moment of creation: `asc`, or `desc` for the newest first."""
    sign = "-" if order == "desc" else ""
    return rows.order_by(f"{sign}created_at", f"{sign}id")


def page_of(rows: QuerySet[Row], asked: Mapping[str, Any], *, total: int) -> list[Row]:
    """The rows from `offset` on, `limit` of them or what is there, in the `order` asked for.

    The database walks over all rows before a page, so it is sent from the nearer end of
    the list, which has `total` rows.
    """
    before, order = asked["offset"], asked["order"]
    length = min(asked["limit"], total - before)
    behind = total - before - length
    if length <= 0:
        return []
    if before <= behind:
        return list(by_time(rows, order)[before : before + length])
    return list(by_time(rows, _OPPOSITE[order])[behind : behind + length])[::-1]
