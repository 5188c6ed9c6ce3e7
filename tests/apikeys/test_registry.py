"""The verbs of keys, their events, and what the database refuses."""

from __future__ import annotations

import uuid

import pytest
from django.db import IntegrityError, transaction

from apikeys import registry
from apikeys.errors import ApiKeyNotFound, ApiKeySetupDone
from apikeys.models import ApiKey
from events.models import Event

pytestmark = pytest.mark.django_db


def last_event() -> Event:
    return Event.objects.order_by("id").reverse()[0]


def test_a_new_key_is_stored_without_its_secret():
    new = registry.create(name="Laptop")

    stored = ApiKey.objects.get()
    assert stored == new.api_key
    assert new.secret not in str(stored.__dict__)
    assert new.secret not in repr(new)


def test_making_changing_and_deleting_are_events_without_secrets():
    new = registry.create(name="Laptop")
    registry.update(new.api_key.id, is_active=False)
    registry.delete(new.api_key.id)

    events = Event.objects.filter(subject_id=str(new.api_key.id))
    assert [event.kind for event in events] == [
        "api_key.created",
        "api_key.updated",
        "api_key.deleted",
    ]
    assert new.secret not in str([event.data for event in events])
    assert new.api_key.secret_hash not in str([event.data for event in events])


def test_an_update_changes_only_what_is_given():
    new = registry.create(name="Laptop", description="old")

    registry.update(new.api_key.id, description="")

    stored = ApiKey.objects.get()
    assert (stored.name, stored.description, stored.is_active) == ("Laptop", "", True)
    assert last_event().data == {"name": "Laptop", "is_active": True}


def test_the_first_key_is_made_once():
    registry.create_first(name="First")

    with pytest.raises(ApiKeySetupDone):
        registry.create_first(name="Second")


@pytest.mark.parametrize("verb", [registry.update, registry.delete])
def test_a_key_that_is_gone_can_not_be_changed(verb):
    with pytest.raises(ApiKeyNotFound):
        verb(uuid.uuid4())


@pytest.mark.parametrize("wrong", [{"name": ""}, {"secret_hash": "plain text"}])
def test_the_database_refuses_keys_without_a_name_or_with_a_plain_secret(wrong):
    row = {"name": "x", "key": "mk_1", "secret_hash": "0" * 64, **wrong}

    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.create(**row)
