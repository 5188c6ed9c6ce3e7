"""The hours in which a server is to start nothing. Pure.

A span is `{"from": "22:00", "to": "07:00", "days": ["mon", …]}`, by the clock on the wall of a
time zone. One that ends before it begins ends on the next day; one that ends when it begins
lasts a day. `days` are those on which it begins; without, all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_SPANS = 20

Span = Mapping[str, Any]


def quiet_until(spans: Sequence[Span], zone: str, now: datetime) -> datetime | None:
    """When the quiet hours are over that `now` (which knows its zone) lies in; None if in none.

    Spans that touch are one, up to two weeks' worth of them: hours that never end are given
    an end, and then another.
    """
    end, at = None, zone_of(zone)
    for _ in range(2 * len(DAYS)):
        ends = [found for span in spans if (found := _end_of(span, at, end or now))]
        if not ends:
            break
        end = max(ends)
    return end


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name; UTC for one that this machine knows no more."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _end_of(span: Span, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the span ends that has begun yesterday or today, if it holds `now`."""
    today = now.astimezone(zone).date()
    begins, ends = (time.fromisoformat(span[name]) for name in ("from", "to"))
    for day in (today - timedelta(days=1), today):
        if DAYS[day.weekday()] not in (span.get("days") or DAYS):
            continue
        last_day = day + timedelta(days=int(ends <= begins))
        end = _moment(last_day, ends, zone)
        if _moment(day, begins, zone) <= now < end:
            return end
    return None


def _moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, tzinfo=zone).astimezone(ZoneInfo("UTC"))
