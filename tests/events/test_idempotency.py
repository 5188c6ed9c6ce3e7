"""A repeated POST is answered as the first was, and makes nothing twice."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys import registry
from apikeys.models import ApiKey
from events.idempotency import idempotent
from events.models import Answer
from jobs.models import Batch, Job
from servers.models import Server
from stablequeue_project import urls
from tests.callers import key_headers, our_page, send_json
from tests.factories import make_job, make_server

pytestmark = pytest.mark.django_db(transaction=True)

GENERATE = "/api/v1/generate"
BODY = {"target_server_alias": "Laptop", "generation_params": {"positive_prompt": "a cat"}}
OTHER_BODY = {**BODY, "generation_params": {"positive_prompt": "a dog"}}
NAMES = ("stablequeue_job_id", "mobilesd_job_id", "job_id")


class StumblingView(APIView):
    """Makes a job and then fails, as if the process had died before its answer left."""

    access = "application"

    @idempotent()
    def post(self, request):
        make_job()
        if request.data["fails"]:
            raise OSError("the process dies")
        return Response({})


class WaitingView(APIView):
    """Answers when the test says so."""

    access = "application"
    begun, may_end = threading.Event(), threading.Event()

    @idempotent()
    def post(self, request):
        self.begun.set()
        assert self.may_end.wait(10)
        return Response({"made": make_job().id})


urlpatterns = [
    path("stumbling", StumblingView.as_view()),
    path("waiting", WaitingView.as_view()),
    *urls.urlpatterns,
]
handler404 = urls.handler404


@pytest.fixture(autouse=True)
def _server(settings, tmp_path):
    settings.INPUTS_DIR = tmp_path
    make_server()


@pytest.fixture
def headers():
    return key_headers(registry.create(name="Forge extension"))


def post(body=BODY, key: str | None = "one", to=GENERATE, headers=None):
    """Send a POST with an Idempotency-Key, from our page if there are no key headers."""
    more = {} if key is None else {"Idempotency_Key": key}
    client = Client(raise_request_exception=False) if headers else our_page()
    own = {} if headers else {"Origin": "http://testserver"}
    return send_json(client, "POST", to, body, **(headers or own), **more)


def in_a_thread(function, *arguments):
    try:
        return function(*arguments)
    finally:
        connection.close()


def test_a_repeat_gets_the_stored_answer_and_says_so(headers):
    first, second = post(headers=headers), post(headers=headers)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.content == second.content
    assert "Idempotent-Replay" not in first.headers
    assert second["Idempotent-Replay"] == "true"
    assert Job.objects.count() == 1


def test_without_a_key_each_request_is_one_of_its_own(headers):
    post(key=None, headers=headers)
    post(key=None, headers=headers)

    assert Job.objects.count() == 2
    assert Answer.objects.count() == 0


def test_without_a_key_it_costs_no_query(headers):
    with CaptureQueriesContext(connection) as asked:
        post(key=None, headers=headers)

    statements = [query["sql"] for query in asked]
    assert statements
    assert not [sql for sql in statements if "events_answer" in sql or "try_advisory" in sql]


def test_the_same_body_in_another_order_is_the_same(headers):
    turned = dict(reversed(BODY.items()))

    assert post(headers=headers).content == post(turned, headers=headers).content


def test_a_key_used_for_another_body_is_refused(headers):
    post(headers=headers)

    answer = post(OTHER_BODY, headers=headers)

    assert answer.status_code == 422
    assert answer.json()["details"]["code"] == "IDEMPOTENCY_MISMATCH"
    assert Job.objects.count() == 1


def test_a_repeat_while_the_first_still_runs_is_told_to_wait(settings, headers):
    settings.ROOT_URLCONF = __name__
    WaitingView.begun.clear()
    WaitingView.may_end.clear()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(in_a_thread, lambda: post(to="/waiting", headers=headers))
        assert WaitingView.begun.wait(10)
        second = post(to="/waiting", headers=headers)
        WaitingView.may_end.set()

    assert second.status_code == 409
    assert second.json()["details"]["code"] == "IDEMPOTENCY_IN_PROGRESS"
    assert post(to="/waiting", headers=headers).json() == first.result().json()


def test_of_twenty_at_once_one_makes_the_job_and_all_repeats_name_it(headers):
    gate = threading.Barrier(20)

    def at_once():
        gate.wait()
        return post(headers=headers)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: in_a_thread(at_once), range(20)))

    job = Job.objects.get()
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert {a.json()["job_id"] for a in answers if a.status_code == 202} == {str(job.id)}
    assert post(headers=headers).json() == dict.fromkeys(NAMES, str(job.id))


def test_what_was_not_made_is_not_remembered(settings, headers):
    settings.ROOT_URLCONF = __name__

    failed = post({"fails": True}, to="/stumbling", headers=headers)

    assert failed.status_code == 500
    assert (Job.objects.count(), Answer.objects.count()) == (0, 0)
    assert post({"fails": False}, to="/stumbling", headers=headers).status_code == 200
    assert Job.objects.count() == 1


def test_an_error_is_not_remembered(headers):
    refused = post({**BODY, "generation_params": {}}, headers=headers)

    assert refused.status_code == 400
    assert post(headers=headers).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "umlaut \xfc", "bell\x07"])
def test_a_key_must_be_short_and_printable(headers, key):
    answer = post(key=key, headers=headers)

    assert answer.status_code == 400
    assert list(answer.json()["details"]["fields"]) == ["Idempotency-Key"]
    assert Job.objects.count() == 0


def test_a_key_may_have_255_characters(headers):
    assert post(key="x" * 255, headers=headers).status_code == 202


def test_clients_and_routes_do_not_share_their_keys(headers):
    other = key_headers(registry.create(name="another"))

    post(headers=headers)
    post(headers=other)
    post()
    post(headers=headers, to="/api/v2/generate")

    assert Job.objects.count() == 4


def test_our_page_can_repeat_too():
    assert post().content == post().content
    assert Job.objects.count() == 1


def test_after_a_day_the_key_is_new_and_what_is_old_is_forgotten(headers):
    post(headers=headers)
    post(key="another", headers=headers)
    Answer.objects.update(created_at=F("created_at") - timedelta(hours=24, seconds=1))

    post(OTHER_BODY, headers=headers)

    assert Job.objects.count() == 3
    assert [answer.key for answer in Answer.objects.all()] == ["one"]


def test_shortly_before_that_it_is_not(headers):
    post(headers=headers)
    Answer.objects.update(created_at=F("created_at") - timedelta(hours=23, minutes=59))

    post(headers=headers)

    assert Job.objects.count() == 1


def test_a_batch_is_made_once(headers):
    body = {**BODY, "bulk_quantity": 3}

    first, second = (post(body, to=f"{GENERATE}/bulk", headers=headers) for _ in range(2))

    assert first.content == second.content
    assert (Batch.objects.count(), Job.objects.count()) == (1, 3)


def test_a_server_is_added_once(headers):
    body = {"alias": "Main", "host": "192.168.1.100", "port": 7860, "password": "hunter2"}

    first, second = (post(body, to="/api/v1/servers", headers=headers) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert Server.objects.filter(alias="Main").count() == 1


@pytest.mark.parametrize("route", ["/api/v1/api-keys", "/api/v1/api-keys/setup"])
def test_a_key_is_made_once_and_its_secret_is_nowhere(route):
    body = {"name": "My laptop"}

    first, second = post(body, to=route), post(body, to=route)

    made = first.json()["api_key"]
    assert (first.status_code, second.status_code) == (201, 409)
    assert second.json()["details"]["code"] == "IDEMPOTENCY_SECRET_SHOWN"
    assert second.json()["details"]["created_id"] == made["id"]
    assert ApiKey.objects.count() == 1
    assert made["secret"] not in str(list(Answer.objects.values()))
    assert made["secret"] not in second.content.decode()
