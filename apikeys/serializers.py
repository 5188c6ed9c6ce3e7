"""The words about keys on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apikeys.models import ApiKey
from apikeys.registry import NewKey
from events.timestamps import UtcMillis


class ApiKeyCreation(serializers.ModelSerializer[ApiKey]):
    """What a client says about a key it wants."""

    class Meta:
        model = ApiKey
        fields = ["name", "description", "rate_limit", "max_waiting"]


class ApiKeyChange(serializers.ModelSerializer[ApiKey]):
    """What a client may change of a key: any of it, but something."""

    class Meta:
        model = ApiKey
        fields = ["name", "description", "is_active", "rate_limit", "max_waiting"]
        # No default: what is not sent stays as it is.
        extra_kwargs = {
            "name": {"required": False},
            "is_active": {"required": False, "default": serializers.empty},
            "max_waiting": {"required": False, "default": serializers.empty},
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a change that changes nothing."""
        if not attrs:
            raise serializers.ValidationError(
                "Give a name, a description, is_active, a rate_limit or max_waiting."
            )
        return attrs


class ApiKeyOutput(serializers.ModelSerializer[ApiKey]):
    """A key as shown in lists: never its secret."""

    created_at = UtcMillis(read_only=True)
    last_used_at = UtcMillis(read_only=True, allow_null=True)
    last_used = UtcMillis(read_only=True, allow_null=True, source="last_used_at")

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "description",
            "key",
            "is_active",
            "rate_limit",
            "max_waiting",
            "created_at",
            "last_used_at",
            "last_used",
            "usage_count",
        ]


def new_key_output(new: NewKey) -> dict[str, Any]:
    """Show a key just made, this once with its secret."""
    return {**ApiKeyOutput(new.api_key).data, "secret": new.secret}
