"""From the place in the log that a client names to what it is told first."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from events.entries import event_lines, newest_id
from events.models import Event, Horizon

RETRY_MILLISECONDS = 1000
"""After which a browser comes back when its stream has ended."""

_FORGOTTEN = "Events of after that one are no longer kept. Read anew what you show."
_UNKNOWN = "There is no such event. Read anew what you show."


@dataclass(frozen=True)
class Place:
    """What a client says it saw last: an event's id, nothing, or what is no id (None)."""

    is_named: bool
    after: int | None = None


@dataclass(frozen=True)
class Start:
    """Where a stream begins, and its first words."""

    position: int
    greeting: bytes


def newest() -> int:
    """The id of the newest event."""
    with connection.cursor() as cursor:
        return newest_id(cursor)


def place(header: str | None, named: int | None) -> Place:
    """Where a client stands, by the header Last-Event-ID or else by its address.

    A browser that comes back sends the header, and the address as it was at first.
    """
    if said := (header or "").strip():
        is_id = said.isascii() and said.isdigit() and len(said) < 19
        return Place(True, int(said) if is_id else None)
    return Place(named is not None, named)


def start(place: Place, *, newest: int, otherwise: int) -> Start:
    """Where to begin: where the client stands, or at `otherwise` if it names no place.

    An event it cannot have seen, or one after which some were forgotten, leads to `reset`:
    what lies between is lost, and the client has to read afresh.
    """
    if not place.is_named:
        return _begin("ready", otherwise)
    horizon = Horizon.objects.values_list("event_id", flat=True).first() or 0
    if place.after is not None and place.after < horizon:
        return _begin("reset", newest, _FORGOTTEN)
    # At the horizon, or at 0 in a log that has forgotten nothing, nothing is missing.
    if place.after is None or not (place.after == horizon or _is_known(place.after)):
        return _begin("reset", newest, _UNKNOWN)
    return _begin("ready", place.after)


def _is_known(event_id: int) -> bool:
    return Event.objects.filter(id=event_id).exists()


def _begin(kind: str, position: int, reason: str = "") -> Start:
    told = {"type": kind, "last_event_id": position} | ({"reason": reason} if reason else {})
    greeting = f"retry: {RETRY_MILLISECONDS}\n\n".encode() + event_lines(kind, told, position)
    return Start(position, greeting)
