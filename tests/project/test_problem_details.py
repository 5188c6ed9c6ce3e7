"""Errors as RFC 9457 problem details, for clients whose Accept header names them."""

from __future__ import annotations

import pytest

from stablequeue_project.api.codes import CODES
from tests.callers import FOREIGN_ORIGIN, key_headers

PROBLEM = "application/problem+json"


@pytest.fixture
def ask(local_tool):
    """Send a request that asks for problem details; returns the answer."""

    def send(path, method="GET", body="", sent="application/json", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        headers = {"Accept": PROBLEM, **named}
        return local_tool.generic(method, path, body, content_type=sent, headers=headers)

    return send


def test_a_problem_has_the_fields_of_the_rfc_and_ours(ask, example_routes):
    answer = ask("/api/v1/validating", "POST", '{"generation_params": {"steps": 1000}}')

    problem = answer.json()
    assert problem.pop("timestamp").endswith("Z")
    sentence = "Ensure this value is less than or equal to 150."
    assert problem == {
        "type": "/api/docs#VALIDATION_FAILED",
        "title": CODES["VALIDATION_FAILED"].meaning,
        "status": 400,
        "detail": f"generation_params.steps: {sentence}",
        "code": "VALIDATION_FAILED",
        "fields": {"generation_params.steps": [sentence]},
    }


@pytest.mark.usefixtures("example_routes")
@pytest.mark.parametrize(
    ("request_of", "status", "code"),
    [
        ({"path": "/api/v1/nothing"}, 404, "NOT_FOUND"),
        ({"path": "/nothing"}, 404, "NOT_FOUND"),
        ({"path": "/api/v1/page", "method": "PATCH"}, 405, "METHOD_NOT_ALLOWED"),
        ({"path": "/api/v1/page", "method": "POST", "body": "{"}, 400, "BROKEN_JSON"),
        ({"path": "/api/v1/application"}, 401, "UNAUTHORIZED"),
        ({"path": "/api/v1/page", "Origin": FOREIGN_ORIGIN}, 403, "ORIGIN_REFUSED"),
        ({"path": "/api/v1/page", "Host": "evil.example"}, 400, "HOST_REFUSED"),
        (
            {"path": "/api/v1/page", "method": "POST", "body": "x", "sent": "text/plain"},
            415,
            "NOT_JSON",
        ),
        ({"path": "/api/v1/failing/domain"}, 400, "CHECKPOINT_NOT_FOUND"),
        ({"path": "/api/v1/failing/throttled"}, 429, "RATE_LIMITED"),
        ({"path": "/api/v1/failing/bug"}, 500, "INTERNAL_ERROR"),
        ({"path": "/api/v1/failing/database"}, 503, "DATABASE_UNAVAILABLE"),
        ({"path": "/api/v1/crash/bug"}, 500, "INTERNAL_ERROR"),
        ({"path": "/api/v1/crash/database"}, 503, "DATABASE_UNAVAILABLE"),
    ],
)
def test_every_kind_of_refusal_can_be_had_as_a_problem(ask, request_of, status, code):
    answer = ask(**request_of)

    problem = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM)
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"/api/docs#{code}"
    assert "Accept" in answer["Vary"]
    assert "hunter2" not in answer.content.decode()


def test_a_body_that_is_too_large_is_a_problem_too(local_tool, example_routes):
    answer = local_tool.generic(
        "POST",
        "/api/v1/page",
        "{}",
        content_type="application/json",
        CONTENT_LENGTH=33_554_433,
        headers={"Accept": PROBLEM},
    )

    assert (answer.status_code, answer["Content-Type"]) == (413, PROBLEM)
    assert answer.json()["code"] == "BODY_TOO_LARGE"


@pytest.mark.usefixtures("example_routes")
@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("application/json, application/problem+json", PROBLEM),
        ("Application/Problem+JSON;q=0.5, */*", PROBLEM),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/problem+json;q=0", "application/json"),
        ("text/html", "application/json"),
        (",;=,/", "application/json"),
        ("", "application/json"),
    ],
)
def test_only_who_names_problem_details_gets_them(local_tool, accept, content_type):
    answer = local_tool.get("/api/v1/failing/domain", headers={"Accept": accept})

    assert answer["Content-Type"] == content_type


def test_an_answer_that_is_no_problem_is_json_as_ever(ask, new_key, example_routes):
    answer = ask("/api/v1/application", **key_headers(new_key))

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")


@pytest.mark.usefixtures("example_routes")
@pytest.mark.parametrize("accept", ["image/png", "text/event-stream", "x" * 8000])
def test_no_accept_header_is_refused(local_tool, accept):
    assert local_tool.get("/api/v1/page", headers={"Accept": accept}).status_code == 200
