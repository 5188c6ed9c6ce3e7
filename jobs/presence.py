"""Which of our processes live, by their own regular word. All times are the database's clock."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from jobs.models import Process


def note(*, name: str, role: str) -> None:
    """Say that this process lives and does its work."""
    Process.objects.update_or_create(name=name, defaults={"role": role, "seen_at": Now()})


def forget(*, name: str) -> None:
    """Say goodbye: the process is about to end."""
    Process.objects.filter(name=name).delete()


def forget_the_dead() -> None:
    """Drop the rows of processes that ended without a goodbye, a day ago or longer."""
    Process.objects.filter(seen_at__lt=Now() - timedelta(days=1)).delete()


def missing_roles() -> list[str]:
    """The roles that no living process fills, in a fixed order. Empty when all is well."""
    living = set(_living().values_list("role", flat=True))
    return [role for role in Process.Role.values if role not in living]


def is_filled(*, role: str, host: str | None = None) -> bool:
    """Whether a living process fills the role; with `host`, one on that machine."""
    living = _living().filter(role=role)
    return (living.filter(name__contains=f"@{host}:") if host else living).exists()


def _living() -> QuerySet[Process]:
    limit = timedelta(seconds=settings.PROCESS_GONE_AFTER)
    return Process.objects.filter(seen_at__gt=Now() - limit)
