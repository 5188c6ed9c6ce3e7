"""The verbs of an endpoint's life. Each stores its event in the same transaction, never a
secret, nor the address, which may hold one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models.functions import Now

from apikeys.models import ApiKey
from events.entries import newest_id
from events.log import Change, record
from servers.credentials import seal
from webhooks import signing
from webhooks.errors import DeliveryNotFound, TooManyWebhooks, WebhookNotFound, WebhookOff
from webhooks.models import Delivery, Endpoint, EndpointQuerySet
from webhooks.targets import parse_target

MOST = 20
"""Standing endpoints of one key, or of our pages."""
ROTATION = timedelta(hours=24)
"""For which the secret before signs as well."""


@dataclass(frozen=True)
class NewSecret:
    """An endpoint, and the secret that can't be read again later."""

    endpoint: Endpoint
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Hook:
    """What a submit says about who is to be called; the secret is the client's own."""

    url: str
    secret: str = field(repr=False)
    events: Sequence[str]


@transaction.atomic
def create(*, key: ApiKey | None, url: str, **told: Any) -> NewSecret:
    """Make a standing endpoint. Raises WebhookUrlInvalid, TooManyWebhooks."""
    parse_target(url)
    if Endpoint.objects.standing().filter(key=key).count() >= MOST:
        raise TooManyWebhooks(MOST)
    secret = signing.new_secret()
    told = {**told, "only_own_jobs": key is not None and told.get("only_own_jobs", True)}
    endpoint = Endpoint.objects.create(
        key=key, url=url, secret=seal(secret), after_event=_newest(), **told
    )
    _record("webhook.created", endpoint)
    return NewSecret(_again(endpoint), secret)


def hook(hook: Hook, *, key: ApiKey | None, **subject: UUID) -> None:
    """Make an endpoint for one job or batch, in the transaction of its submit."""
    Endpoint.objects.create(
        key=key,
        url=hook.url,
        secret=seal(hook.secret),
        events=list(hook.events),
        after_event=_newest(),
        **subject,
    )


@transaction.atomic
def update(
    endpoint_id: UUID, *, key: ApiKey | None, is_active: bool | None = None, **told: Any
) -> Endpoint:
    """Change what is given. One that is activated is told what happens from now on.

    Raises WebhookNotFound, WebhookUrlInvalid.
    """
    endpoint = _locked(endpoint_id, key)
    if "url" in told:
        parse_target(told["url"])
    if is_active and endpoint.disabled_at is not None:
        told |= {"disabled_at": None, "disabled_reason": "", "failing_since": None}
        told["after_event"] = _newest()
    Endpoint.objects.filter(id=endpoint.id).update(**told)
    if is_active is False and endpoint.disabled_at is None:
        switch_off(endpoint.id, "Switched off.")
    _record("webhook.updated", endpoint)
    return _again(endpoint)


@transaction.atomic
def rotate_secret(endpoint_id: UUID, *, key: ApiKey | None) -> NewSecret:
    """Give an endpoint a new secret; the old one signs along for a while.

    Raises WebhookNotFound.
    """
    endpoint = _locked(endpoint_id, key)
    secret = signing.new_secret()
    Endpoint.objects.filter(id=endpoint.id).update(
        secret=seal(secret), previous_secret=endpoint.secret, previous_until=Now() + ROTATION
    )
    _record("webhook.secret_rotated", endpoint)
    return NewSecret(_again(endpoint), secret)


@transaction.atomic
def delete(endpoint_id: UUID, *, key: ApiKey | None) -> None:
    """Remove an endpoint with what waits for it. Raises WebhookNotFound."""
    endpoint = _locked(endpoint_id, key)
    Endpoint.objects.filter(id=endpoint.id).delete()
    _record("webhook.deleted", endpoint)


@transaction.atomic
def replay(endpoint_id: UUID, delivery_id: UUID, *, key: ApiKey | None) -> Delivery:
    """Send a delivery that has ended once more, under its own id, with all its tries anew.

    Raises WebhookNotFound, WebhookOff, DeliveryNotFound.
    """
    endpoint = _locked(endpoint_id, key)
    if endpoint.disabled_at is not None:
        raise WebhookOff(endpoint.disabled_reason)
    found = Delivery.objects.select_for_update().filter(endpoint=endpoint, id=delivery_id)
    if found.first() is None:
        raise DeliveryNotFound
    found.filter(due_at=None).update(due_at=Now(), attempts=0, ended_at=None, delivered_at=None)
    return Delivery.objects.get(id=delivery_id)


def switch_off(endpoint_id: UUID, reason: str) -> bool:
    """Call an endpoint no more until somebody activates it; what waits for it has failed.

    In a transaction, whose last statement records it. False if it was switched off before.
    """
    enabled = Endpoint.objects.enabled().filter(id=endpoint_id)
    if not enabled.update(disabled_at=Now(), disabled_reason=reason[:300]):
        return False
    waiting = Delivery.objects.filter(endpoint=endpoint_id, due_at__isnull=False)
    waiting.update(due_at=None, taken_at=None, ended_at=Now(), last_error="Not sent: " + reason)
    return True


def visible_to(key: ApiKey | None) -> EndpointQuerySet:
    """A key's own standing endpoints; to our pages all."""
    endpoints = Endpoint.objects.standing()
    return endpoints if key is None else endpoints.filter(key=key)


def find(endpoint_id: UUID, key: ApiKey | None) -> Endpoint:
    """Raises WebhookNotFound."""
    endpoint = visible_to(key).filter(id=endpoint_id).first()
    if endpoint is None:
        raise WebhookNotFound
    return endpoint


def _locked(endpoint_id: UUID, key: ApiKey | None) -> Endpoint:
    endpoint = visible_to(key).select_for_update().filter(id=endpoint_id).first()
    if endpoint is None:
        raise WebhookNotFound
    return endpoint


def _again(endpoint: Endpoint) -> Endpoint:
    return Endpoint.objects.get(id=endpoint.id)


def _newest() -> int:
    with connection.cursor() as cursor:
        return newest_id(cursor)


def _record(kind: str, endpoint: Endpoint, **data: Any) -> None:
    record([Change(kind, "webhook", str(endpoint.id), data)])
