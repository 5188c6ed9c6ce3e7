"""Which of our processes live, by their own regular word. All times are the database's clock."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Now

from jobs.models import Process

State = Process.State


def note(*, name: str, role: str, state: str = State.SERVES) -> None:
    """Say that this process lives, and whether it does its work."""
    known = Process.objects.filter(name=name)
    if not known.update(role=role, state=state, seen_at=Now(), beat=F("beat") + 1):
        Process.objects.create(name=name, role=role, state=state)


def forget(*, name: str) -> None:
    """Say goodbye: the process is about to end."""
    Process.objects.filter(name=name).delete()


def forget_the_dead() -> None:
    """Drop the rows of processes that ended without a goodbye, a day ago or longer."""
    Process.objects.filter(seen_at__lt=Now() - timedelta(days=1)).delete()


def missing_roles() -> list[str]:
    """The roles that no living process fills, in a fixed order. Empty when all is well."""
    filled = set(living().filter(state=State.SERVES).values_list("role", flat=True))
    return [role for role in Process.Role.values if role not in filled]


def is_filled(*, role: str, host: str | None = None) -> bool:
    """Whether a living process fills the role; with `host`, one on that machine."""
    filling = living().filter(role=role, state=State.SERVES)
    return (filling.filter(name__contains=f"@{host}:") if host else filling).exists()


def living() -> QuerySet[Process]:
    """The processes that have said lately that they live."""
    limit = timedelta(seconds=settings.PROCESS_GONE_AFTER)
    return Process.objects.filter(seen_at__gt=Now() - limit)


def beats_of_the_leader() -> int:
    """A number that stands still when no dispatcher leads any more."""
    leading = Process.objects.filter(role=Process.Role.DISPATCHER, state=State.SERVES)
    return leading.aggregate(beats=Sum("beat"))["beats"] or 0
