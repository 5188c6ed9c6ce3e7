"""The verbs of a key's life. Each stores its event in the same transaction, never a secret."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from django.db import connection, transaction

from apikeys.errors import ApiKeyNotFound, ApiKeySetupDone
from apikeys.keys import hash_secret, new_key, new_secret
from apikeys.models import ApiKey
from events import locks
from events.log import Change, record


@dataclass(frozen=True)
class NewKey:
    """A key just made, with the secret that can't be read again later."""

    api_key: ApiKey
    secret: str = field(repr=False)


@transaction.atomic
def create_first(
    *, name: str, description: str = "", rate_limit: str = "", max_waiting: int = 0
) -> NewKey:
    """Make the first key. Of many who try at once, one succeeds.

    Raises ApiKeySetupDone.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [locks.FIRST_KEY])
    if ApiKey.objects.exists():
        raise ApiKeySetupDone
    return create(
        name=name, description=description, rate_limit=rate_limit, max_waiting=max_waiting
    )


@transaction.atomic
def create(
    *, name: str, description: str = "", rate_limit: str = "", max_waiting: int = 0
) -> NewKey:
    """Make a key. Without a rate of its own it gets the one set for all.

    `max_waiting` is how many of its jobs may wait at a time; 0 for any number.
    """
    secret = new_secret()
    api_key = ApiKey.objects.create(
        name=name,
        description=description,
        rate_limit=rate_limit,
        max_waiting=max_waiting,
        key=new_key(),
        secret_hash=hash_secret(secret),
    )
    record([_change("api_key.created", api_key)])
    return NewKey(api_key, secret)


@transaction.atomic
def update(
    api_key_id: uuid.UUID,
    *,
    name: str | None = None,
    description: str | None = None,
    is_active: bool | None = None,
    rate_limit: str | None = None,
    max_waiting: int | None = None,
) -> ApiKey:
    """Change what is given; None leaves a value as it is. Raises ApiKeyNotFound."""
    api_key = _locked(api_key_id)
    given = {
        "name": name,
        "description": description,
        "is_active": is_active,
        "rate_limit": rate_limit,
        "max_waiting": max_waiting,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    for attribute, value in changes.items():
        setattr(api_key, attribute, value)
    api_key.save(update_fields=list(changes))
    record([_change("api_key.updated", api_key)])
    return api_key


@transaction.atomic
def delete(api_key_id: uuid.UUID) -> ApiKey:
    """Remove a key and return what it was. Raises ApiKeyNotFound."""
    api_key = _locked(api_key_id)
    ApiKey.objects.filter(id=api_key_id).delete()
    record([_change("api_key.deleted", api_key)])
    return api_key


def _locked(api_key_id: uuid.UUID) -> ApiKey:
    try:
        return ApiKey.objects.select_for_update().get(id=api_key_id)
    except ApiKey.DoesNotExist as error:
        raise ApiKeyNotFound from error


def _change(kind: str, api_key: ApiKey) -> Change:
    return Change(
        kind=kind,
        subject_type="api_key",
        subject_id=str(api_key.id),
        data={"name": api_key.name, "is_active": api_key.is_active},
    )
