"""The limit of jobs that a key may have waiting."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apikeys import registry
from jobs import lifecycle, quota
from jobs.models import Job
from tests.callers import key_headers, our_page, send_json
from tests.factories import make_claimed, make_job, make_server
from tests.flows.stack import eventually

pytestmark = pytest.mark.django_db(transaction=True)

CAT = {"target_server_alias": "Laptop", "generation_params": {"positive_prompt": "a cat"}}


@pytest.fixture
def server():
    return make_server()


def client_of(**options):
    """Asks with a new key; closes its connection, as it may be in a thread of its own."""
    headers = key_headers(registry.create(name="Forge extension", **options))

    def submit(path="generate", **more):
        with contextlib.closing(connection):
            return send_json(Client(), "POST", f"/api/v1/{path}", {**CAT, **more}, **headers)

    return submit


def test_a_key_at_its_limit_is_refused_until_one_of_its_jobs_is_begun(server):
    submit, other = client_of(max_waiting=2), client_of(max_waiting=2)
    assert [submit().status_code for _ in range(2)] == [202, 202]

    refused = submit()

    assert refused.status_code == 429
    assert refused.json()["details"]["code"] == "TOO_MANY_WAITING"
    assert "may have 2 jobs waiting and has 2" in refused.json()["message"]
    assert other().status_code == 202
    make_claimed(Job.objects.order_by("created_at").first())
    assert submit().status_code == 202


def test_a_batch_is_taken_whole_or_not_at_all(server):
    submit = client_of(max_waiting=3)
    submit()

    assert submit("generate/bulk", bulk_quantity=3).status_code == 429
    assert Job.objects.count() == 1
    assert submit("generate/bulk", bulk_quantity=2).status_code == 202


def is_one_waiting_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return cursor.fetchone()


def test_who_submits_meanwhile_is_counted_after(server):
    new = registry.create(name="Phone", max_waiting=1)

    def submit():
        with contextlib.closing(connection):
            return send_json(Client(), "POST", "/api/v1/generate", CAT, **key_headers(new))

    with ThreadPoolExecutor(1) as threads:
        with quota.room_for(1, key=new.api_key):
            later = threads.submit(submit)
            eventually(is_one_waiting_for_a_lock, what="the other one's wait")
            make_job(server)
            Job.objects.update(owner=new.api_key.id)

        assert later.result().status_code == 429


def test_the_limit_is_exact_when_many_submit_at_once(server):
    submit = client_of(max_waiting=5)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: submit().status_code, range(16)))

    assert sorted(answers) == [202] * 5 + [429] * 11
    assert Job.objects.count() == 5


def test_a_key_without_a_limit_costs_no_further_statement(server):
    submit = client_of()
    submit()

    with CaptureQueriesContext(connection) as queries:
        submit()

    touching = [query["sql"] for query in queries if "jobs_job" in query["sql"]]
    assert len(touching) == 1
    assert not [query for query in queries if "FOR NO KEY UPDATE" in query["sql"]]


def test_the_limit_can_be_changed_and_lifted(server):
    new = registry.create(name="Phone", max_waiting=1)
    lifecycle.submit(
        server=server, kind="txt2img", parameters={"prompt": "x"}, seed=1, key=new.api_key
    )
    path = f"/api/v1/api-keys/{new.api_key.id}"

    told = send_json(our_page(), "PUT", path, {"max_waiting": 0}, Origin="http://testserver")

    assert told.json()["api_key"]["max_waiting"] == 0
    answer = send_json(Client(), "POST", "/api/v1/generate", CAT, **key_headers(new))
    assert answer.status_code == 202


@pytest.mark.parametrize("limit", [-1, 1_000_001, "many", None])
def test_a_limit_that_is_none_is_refused(limit):
    new = registry.create(name="Phone")
    path = f"/api/v1/api-keys/{new.api_key.id}"

    told = send_json(our_page(), "PUT", path, {"max_waiting": limit}, Origin="http://testserver")

    assert told.status_code == 400
