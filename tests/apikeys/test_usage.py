"""Counting uses without a write per request."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from apikeys import registry
from apikeys.models import ApiKey
from apikeys.usage import UsageCounter


def eventually(condition, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_many_uses_of_many_keys_are_stored_by_one_statement(new_key, django_assert_num_queries):
    counter, other = UsageCounter(), registry.create(name="Other")
    before = timezone.now()
    for api_key in [new_key.api_key, other.api_key, new_key.api_key]:
        counter.count(api_key.id)

    with django_assert_num_queries(1):
        assert counter.flush()

    new_key.api_key.refresh_from_db()
    assert new_key.api_key.usage_count == 2
    assert new_key.api_key.last_used_at >= before
    assert ApiKey.objects.get(name="Other").usage_count == 1


def test_nothing_used_is_nothing_written(db, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert UsageCounter().flush()


def test_no_use_is_lost_between_threads(new_key):
    counter = UsageCounter()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: counter.count(new_key.api_key.id), range(500)))
    counter.flush()

    assert ApiKey.objects.get().usage_count == 500


def test_a_key_deleted_meanwhile_is_no_trouble(db):
    counter = UsageCounter()
    counter.count(uuid.uuid4())

    assert counter.flush()


@pytest.mark.django_db(transaction=True)
def test_uses_survive_a_database_error(new_key):
    counter = UsageCounter()
    counter.count(new_key.api_key.id)

    with connection.execute_wrapper(_database_away):
        assert not counter.flush()
    counter.count(new_key.api_key.id)

    assert counter.flush()
    assert ApiKey.objects.get().usage_count == 2


def _database_away(execute, sql, params, many, context):
    return execute("SELECT 1 / 0", (), many, context)


@pytest.mark.django_db(transaction=True)
def test_a_started_counter_stores_by_itself():
    new = registry.create(name="Laptop")
    counter = UsageCounter(flush_seconds=0.05)
    counter.start()

    counter.count(new.api_key.id)

    assert eventually(lambda: ApiKey.objects.get().usage_count == 1)
    assert eventually(lambda: counter.is_idle)
