from __future__ import annotations

import pytest
from django.db.models.functions import Now

from apikeys import registry as keys
from jobs import live
from tests.webhooks.receiver import Receiver
from webhooks import delivery, registry
from webhooks.models import Delivery


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def key(db):
    return keys.create(name="Caller").api_key


@pytest.fixture
def webhook(receiver, key):
    """An endpoint of the key, for everything; with its secret."""
    return registry.create(key=key, url=receiver.url, events=["*"], only_own_jobs=False)


@pytest.fixture
def advance():
    """Do what is due; with `later`, also what is due only later."""

    def go(*, later=False):
        if later:
            Delivery.objects.filter(due_at__isnull=False).update(due_at=Now())
        delivery.advance(live.scopes)

    return go
