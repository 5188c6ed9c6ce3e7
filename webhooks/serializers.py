"""Webhooks on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from events.timestamps import UtcMillis
from webhooks import signing
from webhooks.errors import WebhookUrlInvalid
from webhooks.models import Delivery, Endpoint, default_events
from webhooks.registry import Hook, NewSecret
from webhooks.targets import MAX_URL, parse_target


class UrlField(serializers.CharField):
    """An address that may be called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MAX_URL, **options)

    def to_internal_value(self, data: Any) -> str:
        """Check it. Raises ValidationError."""
        url = super().to_internal_value(data)
        try:
            parse_target(url)
        except WebhookUrlInvalid as error:
            raise serializers.ValidationError(str(error)) from error
        return url


class EventsField(serializers.ListField):
    """Kinds of events, like `job.completed`, or several at once, like `job.*`."""

    def __init__(self, **options: Any) -> None:
        child = serializers.RegexField(r"^[a-z_.*]{1,64}$")
        super().__init__(child=child, allow_empty=False, max_length=32, **options)


class WebhookChange(serializers.Serializer[Any]):
    """What a client may change of a webhook."""

    url = UrlField(required=False)
    events = EventsField(required=False, help_text="Kinds of events, like `job.*`.")
    description = serializers.CharField(max_length=200, allow_blank=True, required=False)
    is_active = serializers.BooleanField(required=False, default=serializers.empty)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a change that changes nothing."""
        if not attrs:
            raise serializers.ValidationError("Give a url, events, a description or is_active.")
        return attrs


class WebhookCreation(serializers.Serializer[Any]):
    """What a client says about a webhook it wants."""

    url = UrlField()
    events = EventsField(
        default=default_events,
        help_text="Kinds of events, like `job.*`. Without any: the ends of jobs.",
    )
    description = serializers.CharField(max_length=200, allow_blank=True, default="")
    only_own_jobs = serializers.BooleanField(
        default=True, help_text="Of jobs only those submitted with the same key."
    )


class WebhookOutput(serializers.ModelSerializer[Endpoint]):
    """A webhook as shown: never its secret."""

    is_active = serializers.SerializerMethodField()
    created_at = UtcMillis(read_only=True)
    failing_since = UtcMillis(read_only=True, allow_null=True)
    disabled_at = UtcMillis(read_only=True, allow_null=True)

    class Meta:
        model = Endpoint
        fields = [
            *("id", "url", "events", "description", "only_own_jobs", "is_active"),
            *("disabled_at", "disabled_reason", "failing_since", "created_at"),
        ]

    def get_is_active(self, endpoint: Endpoint) -> bool:
        return endpoint.disabled_at is None


class DeliveryOutput(serializers.ModelSerializer[Delivery]):
    """One delivery as shown."""

    state = serializers.SerializerMethodField(
        help_text="`waiting`, `delivered` or `failed`, which is for good unless it is replayed."
    )
    webhook_id = serializers.CharField(source="message_id")
    type = serializers.CharField(source="kind")
    created_at = UtcMillis(read_only=True)
    last_attempt_at = UtcMillis(read_only=True, allow_null=True)
    next_attempt_at = UtcMillis(read_only=True, allow_null=True, source="due_at")
    delivered_at = UtcMillis(read_only=True, allow_null=True)

    class Meta:
        model = Delivery
        fields = [
            *("id", "webhook_id", "event_id", "type", "state", "attempts", "last_status"),
            *("last_error", "created_at", "last_attempt_at", "next_attempt_at", "delivered_at"),
        ]

    def get_state(self, delivery: Delivery) -> str:
        if delivery.due_at is not None:
            return "waiting"
        return "delivered" if delivery.delivered_at is not None else "failed"


class HookedSerializer(serializers.Serializer[Any]):
    """The part of a submit that says who is to be called about just that."""

    webhook_url = UrlField(
        required=False, help_text="Called when the job ends; see the chapter on webhooks."
    )
    webhook_secret = serializers.CharField(
        max_length=120,
        required=False,
        help_text="Signs those calls: `whsec_` and 24 to 64 bytes in base64, drawn by you.",
    )
    webhook_events = EventsField(required=False, help_text="Other events than a job's end.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        url, secret = attrs.pop("webhook_url", None), attrs.pop("webhook_secret", "")
        events = attrs.pop("webhook_events", None) or default_events()
        if url is None:
            return attrs
        if not signing.is_secret(secret):
            sentence = "Give whsec_ and 24 to 64 random bytes in base64, to sign the calls with."
            raise serializers.ValidationError({"webhook_secret": [sentence]})
        return {**attrs, "hook": Hook(url=url, secret=secret, events=events)}


def new_secret_output(new: NewSecret) -> dict[str, Any]:
    """Show a webhook with its new secret, this once."""
    return {**WebhookOutput(new.endpoint).data, "secret": new.secret}
