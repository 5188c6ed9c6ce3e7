"""How a moment is written for the world: UTC, milliseconds, `Z`."""

from __future__ import annotations

from datetime import UTC, datetime

from rest_framework import serializers


def utc_millis(moment: datetime) -> str:
    """Write `moment` (which knows its zone) like `2025-05-30T10:30:00.000Z`."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class UtcMillis(serializers.DateTimeField):
    """A serializer field that writes moments in this form."""

    def to_representation(self, value: datetime) -> str:
        """Write a moment."""
        return utc_millis(value)
