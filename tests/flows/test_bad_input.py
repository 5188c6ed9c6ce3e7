"""Bad input gets a 400 that names the field, and stores nothing."""

import json

import pytest
import requests


@pytest.fixture
def alias(stack, forge):
    return stack.add_server(forge.port)


def total(stack):
    return stack.api.get(f"{stack.url}/api/v1/queue/jobs?limit=0", timeout=10).json()["total"]


def post(stack, body, **headers):
    headers = {"Content-Type": "application/json", **headers}
    return stack.api.post(f"{stack.url}/api/v1/generate", data=body, headers=headers, timeout=30)


def assert_refused(answer, status, error):
    body = answer.json()
    assert answer.status_code == status, body
    assert body["success"] is False
    assert body["error"] == error
    assert body["message"]
    assert body["details"]["code"] == error.upper()
    assert body["details"]["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"positive_prompt": ""}, "generation_params.positive_prompt"),
        ({"steps": "many"}, "generation_params.steps"),
        ({"width": -1}, "generation_params.width"),
        ({"positive_prompt": "x" * 1_000_000}, "generation_params.positive_prompt"),
        ({"negative_prompt": "a\0b"}, "generation_params.negative_prompt"),
        ({"made_up": {"deep": "a\0b"}}, "generation_params.made_up.deep"),
        ({"init_images": ["http://192.168.0.1/x.png"]}, "generation_params.init_images.0"),
        ({"init_images": ["bm8gcGljdHVyZQ=="]}, "generation_params.init_images.0"),
    ],
)
def test_a_bad_parameter_is_named(stack, alias, parameters, field):
    before = total(stack)

    answer = stack.try_to_generate(alias, **parameters)

    assert_refused(answer, 400, "validation_failed")
    assert list(answer.json()["details"]["fields"]) == [field]
    assert total(stack) == before


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ('{"target_server_alias": ', "broken_json"),
        ("[]", "validation_failed"),
        ('{"target_server_alias": NaN}', "broken_json"),
        (b"\xff\xfe", "broken_json"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(stack, body, error):
    assert_refused(post(stack, body), 400, error)


def test_empty_parameters_name_the_prompt(stack, alias):
    answer = post(stack, json.dumps({"target_server_alias": alias, "generation_params": {}}))

    assert_refused(answer, 400, "validation_failed")
    assert "generation_params.positive_prompt" in answer.json()["details"]["fields"]


def test_an_unknown_server_is_not_found(stack):
    assert_refused(stack.try_to_generate("Nowhere"), 404, "server_not_found")


def test_a_body_of_50_megabytes_is_too_large(stack):
    assert_refused(post(stack, b" " * 50_000_000), 413, "body_too_large")


def test_a_body_of_unstated_length_is_cut_off(stack):
    endless = (b" " * 1_000_000 for _ in range(50))

    assert_refused(post(stack, endless), 413, "body_too_large")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("status=foo", "status"),
        ("order=;drop", "order"),
    ],
)
def test_a_bad_query_is_named(stack, query, field):
    answer = stack.api.get(f"{stack.url}/api/v1/queue/jobs?{query}", timeout=10)

    assert_refused(answer, 400, "validation_failed")
    assert list(answer.json()["details"]["fields"]) == [field]


@pytest.mark.parametrize("job_id", ["x", "' OR 1=1", "00000000-0000-4000-8000-000000000000"])
def test_an_unknown_job_is_not_found(stack, job_id):
    answer = stack.api.get(f"{stack.url}/api/v1/queue/jobs/{job_id}/status", timeout=10)

    assert_refused(answer, 404, "job_not_found")


def test_without_a_key_nothing_is_told(stack):
    assert_refused(requests.get(f"{stack.url}/api/v1/queue/jobs", timeout=10), 401, "unauthorized")
