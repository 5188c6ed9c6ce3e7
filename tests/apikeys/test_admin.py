"""Keys in Django's admin."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from apikeys.keys import secret_matches
from apikeys.models import ApiKey
from events.models import Event

pytestmark = pytest.mark.django_db

LIST = reverse("admin:apikeys_apikey_changelist")
ADD = reverse("admin:apikeys_apikey_add")


def kinds() -> list[str]:
    return list(Event.objects.values_list("kind", flat=True))


def test_a_new_keys_secret_is_shown_on_the_answer_page_only(admin_client):
    answer = admin_client.post(ADD, {"name": "Laptop", "description": ""})

    api_key = ApiKey.objects.get()
    page = answer.content.decode()
    shown = re.findall(r"<code>(.+?)</code>", page)
    assert "no-store" in answer["Cache-Control"]
    assert shown[0] == api_key.key
    assert secret_matches(shown[1], api_key.secret_hash)
    assert shown[1] not in admin_client.get(LIST).content.decode()
    assert kinds() == ["api_key.created"]


def test_a_key_is_changed_through_its_verb_and_its_hash_never_shown(admin_client, new_key):
    address = reverse("admin:apikeys_apikey_change", args=[new_key.api_key.id])

    page = admin_client.get(address).content.decode()
    admin_client.post(address, {"name": "Renamed", "description": ""})

    assert new_key.api_key.secret_hash not in page
    stored = ApiKey.objects.get()
    assert (stored.name, stored.is_active) == ("Renamed", False)
    assert stored.secret_hash == new_key.api_key.secret_hash
    assert kinds()[-1] == "api_key.updated"


def test_a_key_is_deleted_through_its_verb(admin_client, new_key):
    address = reverse("admin:apikeys_apikey_delete", args=[new_key.api_key.id])

    admin_client.post(address, {"post": "yes"})

    assert not ApiKey.objects.exists()
    assert kinds()[-1] == "api_key.deleted"


def test_several_keys_are_deleted_through_their_verb(admin_client, new_key):
    chosen = {"action": "delete_selected", "_selected_action": [new_key.api_key.id], "post": "yes"}

    admin_client.post(LIST, chosen)

    assert not ApiKey.objects.exists()
    assert kinds()[-1] == "api_key.deleted"
