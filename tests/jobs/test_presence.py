"""Which process lives is what it said lately itself."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models.functions import Now

from jobs import presence
from jobs.models import Process

pytestmark = pytest.mark.django_db


def fall_silent(name):
    long_ago = Now() - timedelta(seconds=settings.PROCESS_GONE_AFTER + 1)
    Process.objects.filter(name=name).update(seen_at=long_ago)


def test_a_role_is_filled_while_its_process_says_so():
    presence.note(name="worker@here:7", role="worker")

    assert presence.is_filled(role="worker")
    assert presence.is_filled(role="worker", host="here")
    assert presence.missing_roles() == ["dispatcher", "chores"]


def test_a_silent_process_fills_no_role():
    presence.note(name="worker@here:7", role="worker")
    fall_silent("worker@here:7")

    assert not presence.is_filled(role="worker", host="here")


@pytest.mark.parametrize("name", ["worker@there:7", "worker@here2:7", "worker@nothere:7"])
def test_a_process_elsewhere_fills_no_role_here(name):
    presence.note(name=name, role="worker")

    assert presence.is_filled(role="worker")
    assert not presence.is_filled(role="worker", host="here")


def test_another_role_on_the_same_machine_does_not_count():
    presence.note(name="chores@here:7", role="chores")

    assert not presence.is_filled(role="worker", host="here")
