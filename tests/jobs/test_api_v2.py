"""The dialect below /api/v2/, where it differs from v1."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from apikeys import registry
from jobs import lifecycle
from jobs.api_v2 import JOB_DELAY_IGNORED
from jobs.models import Job
from tests.callers import key_headers, send_json
from tests.factories import make_claimed, make_job, make_server

pytestmark = pytest.mark.django_db

GENERATE = "/api/v2/generate"
INFOTEXT = "a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5"
NAMES = ("stablequeue_job_id", "mobilesd_job_id", "job_id")


@pytest.fixture
def server():
    return make_server()


@pytest.fixture
def call(server):
    headers = key_headers(registry.create(name="Forge extension"))

    def ask(method, path, body=None):
        if body is None:
            return Client().generic(method, path, headers=headers)
        return send_json(Client(), method, path, body, **headers)

    return ask


@pytest.fixture
def submit(call):
    def ask(path=GENERATE, **more):
        body = {"app_type": "forge", "target_server_alias": "laptop", **more}
        return call("POST", path, body)

    return ask


def test_a_submit_is_answered_with_all_an_extension_may_want(submit):
    answer = submit(generation_params={"positive_prompt": "a cat"})

    told = answer.json()
    assert answer.status_code == 202
    assert {told[name] for name in NAMES} == {str(Job.objects.get().id)}
    assert (told["success"], told["app_type"], told["warnings"]) == (True, "forge", [])
    assert told["target_server_alias"] == "Laptop"
    assert told["queue_position"] == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", told["creation_timestamp"])


def test_the_place_in_the_queue_counts_who_waits_before_it_for_the_same_server(submit, server):
    elsewhere = make_server("Attic")
    make_job(elsewhere)
    make_claimed(make_job(server))
    lifecycle.cancel(job_id=make_job(server).id)
    make_job(server)

    told = submit(generation_params={"positive_prompt": "a cat"}).json()

    assert told["queue_position"] == 2


@pytest.mark.parametrize("path", [GENERATE, f"{GENERATE}/bulk", "/api/v1/generate"])
def test_one_client_takes_only_200_for_a_success(call, path):
    body = {"target_server_alias": "Laptop", "generation_params": {"positive_prompt": "a cat"}}

    answer = call("POST", path, {**body, "source_info": "civitai_browser_plus"})

    assert answer.status_code == 200


def test_an_infotext_is_read_at_once_and_kept(submit):
    submit(generation_info_raw=INFOTEXT)

    job = Job.objects.get()
    assert job.seed == 5
    assert job.parameters["positive_prompt"] == "a cat"
    assert job.parameters["steps"] == 20
    assert job.parameters["raw_generation_info"] == INFOTEXT


def test_parameters_count_more_than_the_infotext(submit):
    submit(generation_info_raw=INFOTEXT, generation_params={"steps": 8})

    assert Job.objects.get().parameters["steps"] == 8
    assert Job.objects.get().parameters["negative_prompt"] == "dog"


def test_what_an_infotext_says_beyond_our_bounds_is_told_and_left_out(submit):
    told = submit(generation_info_raw=f"{INFOTEXT}, Clip skip: 99").json()

    assert len(told["warnings"]) == 1
    assert "Clip skip" in told["warnings"][0]
    assert not {"clip_skip", "override_settings"} & {*Job.objects.get().parameters}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({}, "generation_params"),
        ({"generation_info_raw": " \n"}, "generation_params"),
        ({"generation_info_raw": 7}, "generation_info_raw"),
        ({"generation_info_raw": "x" * 65_537}, "generation_info_raw"),
        (
            {"generation_info_raw": "Steps: 20, Sampler: Euler, Seed: 5"},
            "generation_params.positive_prompt",
        ),
        ({"generation_info_raw": "a cat", "generation_params": []}, "generation_params"),
        ({"generation_params": {"positive_prompt": "a", "steps": 0}}, "generation_params.steps"),
        ({"generation_params": {"positive_prompt": "a"}, "app_type": "comfyui"}, "app_type"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(submit, more, field):
    answer = submit(**more)

    assert answer.status_code == 400
    assert field in answer.json()["details"]["fields"]
    assert Job.objects.count() == 0


@pytest.mark.parametrize("app_type", [None, ""])
def test_an_app_that_is_not_named_is_forge(submit, app_type):
    told = submit(generation_params={"positive_prompt": "a cat"}, app_type=app_type).json()

    assert told["app_type"] == "forge"


def test_a_bulk_submit_may_come_as_an_infotext_and_is_told_that_a_delay_means_nothing(submit):
    told = submit(
        f"{GENERATE}/bulk",
        generation_info_raw=INFOTEXT,
        bulk_quantity=3,
        seed_variation="incremental",
        job_delay=1,
    ).json()

    assert (told["success"], told["total_jobs"], told["app_type"]) == (True, 3, "forge")
    assert told["warnings"] == [JOB_DELAY_IGNORED]
    assert [job["seed"] for job in told["jobs"]] == [5, 6, 7]


def test_a_job_is_wrapped_and_carries_all_its_names(call):
    job = make_job()

    told = call("GET", f"/api/v2/jobs/{job.id}/status").json()

    assert told["success"] is True
    assert {told["job"][name] for name in NAMES} == {str(job.id)}
    assert told["job"]["status"] == "pending"


def test_jobs_are_listed_cancelled_and_deleted(call):
    job = make_job()

    listed = call("GET", "/api/v2/jobs?status=pending").json()
    cancelled = call("POST", f"/api/v2/jobs/{job.id}/cancel").json()
    deleted = call("DELETE", f"/api/v2/jobs/{job.id}").json()

    assert (listed["success"], listed["total"], len(listed["jobs"])) == (True, 1, 1)
    assert (cancelled["success"], cancelled["job"]["status"]) == (True, "cancelled")
    assert (deleted["success"], Job.objects.count()) == (True, 0)


@pytest.mark.parametrize(
    ("method", "end"), [("GET", "/status"), ("POST", "/cancel"), ("DELETE", "")]
)
def test_an_unknown_job_is_not_found(call, method, end):
    answer = call(method, f"/api/v2/jobs/7{end}")

    assert answer.status_code == 404
    assert answer.json()["error"] == "job_not_found"


def test_servers_are_a_bare_array_to_look_at(call):
    listed = call("GET", "/api/v2/servers")

    assert [server["alias"] for server in listed.json()] == ["Laptop"]
    assert call("POST", "/api/v2/servers", {"alias": "Main"}).status_code == 405
