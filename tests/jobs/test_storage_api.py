"""The doors to stars and storage settings."""

from __future__ import annotations

import pytest
from django.test import Client

from jobs import disk
from tests.callers import EXTENSION_ORIGIN, our_page, send_json
from tests.factories import make_completed

pytestmark = pytest.mark.django_db

SETTINGS = "/api/v1/settings/storage"


@pytest.fixture(autouse=True)
def _outputs(folders):
    """Each test has folders of its own."""


def put(body, **headers):
    return send_json(our_page(), "PUT", SETTINGS, body, Origin="http://testserver", **headers)


def star(method, job_id):
    path = f"/api/v1/queue/jobs/{job_id}/star"
    return our_page().generic(method, path, headers={"Origin": "http://testserver"})


def test_everything_is_kept_until_somebody_says_otherwise():
    answer = our_page().get(SETTINGS).json()

    assert (answer["keep_days"], answer["keep_bytes"]) == (None, None)
    assert answer["admission_paused"] is False


def test_what_is_set_is_kept_and_null_is_for_ever():
    assert put({"keep_days": 30, "keep_bytes": None}).status_code == 200
    assert our_page().get(SETTINGS).json()["keep_days"] == 30

    assert put({"keep_days": None, "keep_bytes": 10**9}).json()["keep_bytes"] == 10**9
    assert our_page().get(SETTINGS).json()["keep_days"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"keep_days": 0, "keep_bytes": None}, "keep_days"),
        ({"keep_days": "7", "keep_bytes": None}, "keep_days"),
        ({"keep_days": 10**9, "keep_bytes": None}, "keep_days"),
        ({"keep_days": 7, "keep_bytes": 1}, "keep_bytes"),
        ({"keep_days": 7, "keep_bytes": 2**60}, "keep_bytes"),
        ({"keep_days": 7}, "keep_bytes"),
        ([], None),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_field(body, field):
    answer = put(body)

    assert answer.status_code == 400
    assert field is None or field in answer.json()["details"]["fields"]
    assert our_page().get(SETTINGS).json()["keep_days"] is None


def test_the_answer_adds_everything_up(settings):
    settings.MIN_FREE = 0
    make_completed()
    disk.look()

    answer = our_page().get(SETTINGS).json()

    assert answer["used"]["pictures"]["count"] == 1
    assert answer["used"]["pictures"]["bytes"] > 0
    assert answer["free_bytes"] > 0
    assert [seen["folder"] for seen in answer["disks"]] == ["pictures", "inputs"]


def test_it_says_that_and_why_nothing_is_started(settings):
    settings.MIN_FREE = 2**62
    disk.look()

    answer = our_page().get(SETTINGS).json()

    assert answer["admission_paused"] is True
    assert "Free some space" in answer["reason"]


def test_another_page_may_not_set_anything():
    answer = send_json(
        Client(), "PUT", SETTINGS, {"keep_days": 1, "keep_bytes": None}, Origin=EXTENSION_ORIGIN
    )

    assert answer.status_code == 403


def test_a_star_is_shown_and_taken_away():
    job = make_completed()

    assert star("POST", job.id).json()["job"]["is_starred"] is True
    assert star("DELETE", job.id).json()["job"]["is_starred"] is False


@pytest.mark.parametrize("job_id", ["00000000-0000-4000-8000-000000000000", "none"])
def test_a_job_that_is_not_there_cannot_be_starred(job_id):
    assert star("POST", job_id).status_code == 404
