"""A page of a list holds the same rows, whichever end the database reads it from."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from jobs.paging import by_time, page_of
from tests.factories import make_job, make_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def jobs():
    server = make_server()
    return [make_job(server) for _ in range(7)]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_each_page_is_the_slice_that_was_asked_for(jobs, order, limit):
    everything = list(by_time(Job.objects.all(), order))
    for offset in range(9):
        asked = {"offset": offset, "limit": limit, "order": order}
        page = page_of(Job.objects.all(), asked, total=len(jobs))
        assert page == everything[offset : offset + limit]


def test_a_page_at_the_end_is_read_from_the_end(jobs):
    asked = {"offset": 6, "limit": 1, "order": "desc"}
    with CaptureQueriesContext(connection) as asked_of_the_database:
        page_of(Job.objects.all(), asked, total=len(jobs))
    assert "OFFSET" not in asked_of_the_database[0]["sql"]


def test_an_empty_list_has_no_page():
    asked = {"offset": 0, "limit": 50, "order": "desc"}
    assert page_of(Job.objects.all(), asked, total=0) == []
