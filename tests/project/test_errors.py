"""Every failure leaves in the envelope, and tells what a client may know."""

from __future__ import annotations

import re

import pytest

from stablequeue_project.api.codes import CODES
from stablequeue_project.api.domain_errors import DOMAIN_ERRORS
from stablequeue_project.api.envelope import envelope
from stablequeue_project.api.field_errors import flattened
from stablequeue_project.log_lines import one_line
from tests.callers import send_json

pytestmark = pytest.mark.usefixtures("example_routes")


def test_the_envelope_is_the_contracts():
    body = envelope("JOB_NOT_FOUND", "No such job.", fields={"id": ["x"]}, hint=1)

    stamp = body["details"].pop("timestamp")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert body == {
        "success": False,
        "error": "job_not_found",
        "message": "No such job.",
        "details": {"code": "JOB_NOT_FOUND", "hint": 1, "fields": {"id": ["x"]}},
    }


def test_every_domain_error_has_its_code_in_the_registry():
    def below(kind: type[Exception]) -> list[type[Exception]]:
        return [kind, *(found for child in kind.__subclasses__() for found in below(child))]

    kinds = [kind for base in DOMAIN_ERRORS for kind in below(base) if kind is not base]

    assert kinds
    assert not [kind for kind in kinds if getattr(kind, "code", None) not in CODES]


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("domain", 400, "CHECKPOINT_NOT_FOUND"),
        ("database", 503, "DATABASE_UNAVAILABLE"),
        ("data", 400, "VALIDATION_FAILED"),
        ("throttled", 429, "RATE_LIMITED"),
        ("bug", 500, "INTERNAL_ERROR"),
    ],
)
def test_each_failure_has_its_status_and_code(local_tool, kind, status, code):
    answer = local_tool.get(f"/api/v1/failing/{kind}")

    assert answer.status_code == status
    assert answer.json()["details"]["code"] == code
    assert "hunter2" not in answer.content.decode()


def test_a_domain_error_speaks_for_itself(local_tool):
    message = local_tool.get("/api/v1/failing/domain").json()["message"]

    assert message == 'The server has no checkpoint "nope.ckpt". Did you mean "yep.ckpt"?'


def test_waiting_times_are_whole_seconds_in_a_header(local_tool):
    assert local_tool.get("/api/v1/failing/throttled")["Retry-After"] == "7"
    assert local_tool.get("/api/v1/failing/database")["Retry-After"] == "5"


def test_a_surprise_is_logged_with_its_traceback(local_tool, caplog):
    local_tool.get("/api/v1/failing/bug")

    [record] = [r for r in caplog.records if r.name.startswith("stablequeue_project")]
    assert record.message == "GET /api/v1/failing/bug failed"
    assert record.exc_info


def test_fields_are_named_by_their_dotted_path(local_tool):
    body = {
        "generation_params": {"steps": 1000, "sizes": [1, "x"]},
        "jobs": [{"steps": 1}, {}],
    }

    answer = send_json(local_tool, "POST", "/api/v1/validating", body).json()

    fields = answer["details"]["fields"]
    assert list(fields) == ["generation_params.steps", "generation_params.sizes.1", "jobs.1.steps"]
    assert answer["message"] == f"generation_params.steps: {fields['generation_params.steps'][0]}"


def test_complaints_are_bounded():
    fields = flattened({f"field{n}": ["x" * 10_000] * 100 for n in range(1000)})

    assert len(fields) == 50
    assert {len(sentences) for sentences in fields.values()} == {5}
    assert max(len(sentence) for sentence in fields["field0"]) == 300


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/", "/api/v1/crash/unknown/more"])
def test_an_address_of_the_api_that_leads_nowhere_answers_in_the_envelope(local_tool, path):
    answer = local_tool.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"


@pytest.mark.parametrize("path", ["/nothing", "/.env", "/.git/config", "/debug/"])
def test_another_address_that_leads_nowhere_answers_a_line_of_text(local_tool, path):
    answer = local_tool.get(path)

    assert answer.status_code == 404
    assert answer["Content-Type"] == "text/plain"


@pytest.mark.parametrize("path", ["/crash/bug", "/api/v1/crash/bug"])
def test_a_crash_outside_of_the_rest_views_tells_nothing(local_tool, path):
    answer = local_tool.get(path)

    assert answer.status_code == 500
    assert "hunter2" not in answer.content.decode()


def test_a_database_that_is_away_is_no_crash_anywhere(local_tool):
    assert local_tool.get("/crash/database").status_code == 503
    assert local_tool.get("/api/v1/crash/database").json()["error"] == "database_unavailable"


@pytest.mark.parametrize("method", ["DELETE", "TRACE", "PATCH", "CONNECT", "BREW", "OPTIONS"])
def test_an_unknown_method_is_not_allowed(local_tool, method):
    answer = local_tool.generic(method, "/api/v1/page", headers={"X-HTTP-Method-Override": "GET"})

    assert answer.status_code == 405
    assert answer.json()["error"] == "method_not_allowed"


def test_a_view_that_declares_no_access_lets_nobody_in(local_tool, caplog):
    answer = local_tool.get("/api/v1/undeclared")

    assert answer.status_code == 500
    assert "UndeclaredView declares no access" in caplog.text


def test_text_from_outside_stays_on_one_line_of_the_log():
    assert one_line("a\r\nb\x1b[31m\u202e") == "a\\r\\nb\\x1b[31m\\u202e"
    assert len(one_line("x" * 10_000)) < 210
