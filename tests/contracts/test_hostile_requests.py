"""What clients send that mean harm, or are broken: it is refused with the place named, or inert.

Raw HTTP is in tests/project/test_web_server_over_http.py.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import logging
import re
import struct
import uuid
import zlib
from typing import Any

import pytest
from PIL import Image

from jobs import payload
from jobs.models import Input, Job
from stablequeue_project.api.reference.chapters import OPERATIONS
from tests.callers import key_headers, send_json
from tests.factories import make_job

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("laptop")]

GENERATE = "/api/v1/generate"
BODIES: dict[str, Any] = {at: found.body for at, found in OPERATIONS.items() if found.body}
UNKNOWN = uuid.UUID(int=4 << 76 | 8 << 60)
PARTS = {"job_id": UNKNOWN, "api_key_id": UNKNOWN, "alias": "Laptop", "batch_id": UNKNOWN}
PARTS |= {"webhook_id": UNKNOWN, "delivery_id": UNKNOWN}


@pytest.fixture(autouse=True)
def _folders(settings, tmp_path):
    settings.INPUTS_DIR = tmp_path


@pytest.fixture
def generate(application):
    """Submit a job with these parameters; returns the answer."""

    def submit(**parameters):
        body = {"positive_prompt": "a cat", **parameters}
        body = {"target_server_alias": "Laptop", "generation_params": body}
        return send_json(application, "POST", GENERATE, body)

    return submit


def assert_refused(answer, *fields, status=400, code="VALIDATION_FAILED"):
    """Fail unless `answer` refuses, names exactly these fields, and nothing was stored."""
    assert answer.status_code == status, answer.content
    details = answer.json()["details"]
    assert details["code"] == code
    assert list(details.get("fields", [])) == list(fields)
    assert not Job.objects.exists()
    assert not Input.objects.exists()


# --- pictures sent along -------------------------------------------------------------


def png_header(width, height):
    """Begin a PNG that says it has this size, and holds nothing."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + chunk + struct.pack(">I", zlib.crc32(chunk))


def as_base64(content):
    return base64.b64encode(content).decode()


@pytest.mark.parametrize(
    "sent",
    [
        "http://192.168.1.1/x.png",
        "HTTP://192.168.1.1/x.png",
        "https://example.com/x.png",
        "//192.168.1.1/x.png",
        "ftp://192.168.1.1/x.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "../../etc/passwd",
        "data:image/png;base64,http://192.168.1.1/x.png",
        "data:text/html;base64," + as_base64(b"<script>alert(1)</script>"),
        as_base64(b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        as_base64(b"GIF89a\1\0\1\0"),
        as_base64(png_header(50_000, 50_000)),
        "not base64!",
        "=" * 1000,
    ],
)
def test_what_is_no_picture_is_refused_and_never_fetched(generate, sent):
    assert_refused(generate(init_images=[sent]), "generation_params.init_images.0")


@pytest.mark.parametrize(
    "mask", [5, [], True, {}, {"sha256": ""}, {"sha256": "../x"}, {"url": "x"}]
)
def test_a_mask_that_is_nothing_of_the_kind_is_refused(generate, mask):
    assert_refused(generate(mask=mask), "generation_params.mask")


def test_a_picture_of_100_megabytes_is_refused_by_its_announced_length(application):
    answer = application.generic(
        "POST", GENERATE, "{}", content_type="application/json", CONTENT_LENGTH=134_217_728
    )

    assert_refused(answer, status=413, code="BODY_TOO_LARGE")


def test_a_picture_is_kept_as_what_it_is_whatever_it_is_called(application, generate):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")

    generate(init_images=["data:text/html;base64," + as_base64(file.getvalue())])

    [stored] = Input.objects.all()
    answer = application.get(f"/api/v1/inputs/{stored.sha256}")
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    answer.close()


# --- JSON ----------------------------------------------------------------------------


@pytest.mark.parametrize("body", ["[]", "null", "5", '"text"', "true", "[{}]"])
@pytest.mark.parametrize("at", BODIES)
def test_a_body_that_is_no_object_is_refused_everywhere(application, at, body):
    method, path = at.split()

    answer = send_json(application, method, path.format_map(PARTS), body)

    assert answer.status_code in {400, 404}, answer.content
    assert answer.json()["success"] is False


@pytest.mark.parametrize("at", BODIES)
def test_a_body_of_wrong_types_throughout_is_refused_everywhere(application, at):
    method, path = at.split()
    fields = BODIES[at]().fields

    for wrong in ({"a": [1]}, [[]], 1e308, -1, "\u202e" * 70_000):
        body = dict.fromkeys(fields, wrong)
        answer = send_json(application, method, path.format_map(PARTS), body)
        assert answer.status_code in {400, 404}, (wrong, answer.content)


def test_a_compressed_body_is_not_unpacked(application):
    body = gzip.compress(b" " * 100_000_000, compresslevel=9)

    answer = send_json(application, "POST", GENERATE, body, Content_Encoding="gzip")

    assert_refused(answer, code="BROKEN_JSON")


def test_names_with_a_meaning_elsewhere_are_names_like_any_other(application):
    text = (
        '{"target_server_alias": "Laptop", "__proto__": {"a": 1}, "generation_params": '
        '{"positive_prompt": "first", "positive_prompt": "a cat", "__proto__": {"steps": 1}, '
        '"constructor": {"prototype": 1}, "__class__": "x", "pk": 1, "id": "x"}}'
    )

    accepted = send_json(application, "POST", GENERATE, text).json()

    job = Job.objects.get(id=accepted["job_id"])
    assert job.parameters["positive_prompt"] == "a cat"
    assert job.parameters["__proto__"] == {"steps": 1}
    assert "steps" not in job.parameters


# --- values --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("steps", 1_000_000_000),
        ("steps", -1),
        ("width", -1),
        ("width", 1_000_003),
        ("height", 10**400),
        ("num_images", 1_000_000),
        ("n_iter", 10**18),
        ("cfg_scale", "7"),
        ("cfg_scale", -0.1),
        ("seed", 2**70),
        ("seed", 1.5),
        ("seed", "1; DROP TABLE jobs_job"),
        ("positive_prompt", ""),
        ("positive_prompt", "x" * 1_048_576),
        ("positive_prompt", "a\0b"),
        ("positive_prompt", "a\ud800b"),
        ("negative_prompt", {"a": "b"}),
        ("sampler_name", "x" * 10_000),
        ("styles", ["x"] * 1000),
        ("override_settings", [1]),
        ("made_up", {"deep": ["a\0"]}),
        ("made_up", "x" * 100_000),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_name(generate, field, value):
    answer = generate(**{field: value})

    [named] = answer.json()["details"]["fields"]
    assert named.startswith(f"generation_params.{field}")
    assert_refused(answer, named)


def test_what_reaches_beyond_the_picture_is_kept_but_never_sent(generate):
    sent = {
        "override_settings": {"outdir_samples": "/etc", "samples_save": True, "CLIP_skip": 1},
        "alwayson_scripts": {"Run Shell": {"args": ["rm"]}},
        "script_name": "custom code",
        "script_args": ["import os"],
        "save_images": True,
        "outdir_txt2img_samples": "/etc",
        "force_task_id": "theirs",
        "infotext": "a",
        "comments": {"a": "b"},
        "do_not_save_samples": False,
        "send_images": False,
    }

    job = Job.objects.get(id=generate(**sent).json()["job_id"])
    body = payload.build(job.parameters, seed=1, read_input=str)

    assert job.parameters == {"positive_prompt": "a cat", **sent}
    assert {name for name in sent if body.get(name) == sent[name]} == set()
    assert not body.keys() & {"override_settings", "script_name", "script_args", "force_task_id"}


# --- lists and ids -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=-1", "limit"),
        ("limit=1e9", "limit"),
        ("limit=NaN", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("offset=1000000000000000000", "offset"),
        ("offset=-1", "offset"),
        ("order=;drop", "order"),
        ("order=created_at", "order"),
        ("status=foo", "status"),
        ("status=pending'--", "status"),
        ("status=%00", "status"),
    ],
)
def test_a_hostile_query_is_refused_by_its_name(application, query, field):
    assert_refused(application.get(f"/api/v1/queue/jobs?{query}"), field)


def test_no_list_is_longer_than_500(application, laptop):
    for _ in range(501):
        make_job(laptop)

    answer = application.get("/api/v1/queue/jobs?limit=1000000000&unknown[$ne]=1").json()

    assert (len(answer["jobs"]), answer["total"]) == (500, 501)


@pytest.mark.parametrize(
    "job_id",
    [
        "' OR 1=1 --",
        "1",
        "null",
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "{" + str(UNKNOWN) + "}x",
        "x" * 5000,
        str(UNKNOWN),
    ],
)
def test_an_id_that_is_none_finds_nothing(application, laptop, job_id):
    make_job(laptop)
    at = f"/api/v1/queue/jobs/{job_id}"

    answers = [
        application.get(f"{at}/status"),
        send_json(application, "POST", f"{at}/cancel", ""),
        application.delete(at),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert Job.objects.filter(status="pending").count() == 1


def test_ids_of_jobs_are_random_and_every_key_of_the_household_may_use_them(
    client, generate, new_key
):
    ids = [uuid.UUID(generate().json()["job_id"]) for _ in range(2)]

    assert all(job_id.version == 4 for job_id in ids)
    made = send_json(client, "POST", "/api/v1/api-keys", {"name": "another"}).json()["api_key"]
    headers = {"X-API-Key": made["key"], "X-API-Secret": made["secret"]}
    assert client.get(f"/api/v1/queue/jobs/{ids[0]}/status", headers=headers).status_code == 200
    assert client.get(f"/api/v1/queue/jobs/{ids[0]}/status").status_code == 401


# --- methods -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "BREW", "PROPFIND"])
@pytest.mark.parametrize("path", sorted({at.split()[1] for at in OPERATIONS}))
def test_a_method_an_address_does_not_know_is_refused(client, new_key, method, path):
    where = path.format_map({**PARTS, "model_id": "x", "sha256": "ab", "name": "x.png"})
    headers = {**key_headers(new_key), "X-HTTP-Method-Override": "DELETE"}

    answer = client.generic(method, where, headers=headers)

    assert answer.status_code == 405
    assert answer.json()["error"] == "method_not_allowed"


def test_a_method_in_a_header_or_a_field_is_not_the_method(application, laptop):
    job = make_job(laptop)
    at = f"/api/v1/queue/jobs/{job.id}/status?_method=DELETE"

    application.get(at, headers={"X-HTTP-Method-Override": "DELETE", "X-Method": "DELETE"})

    assert Job.objects.filter(id=job.id).exists()


# --- the log -------------------------------------------------------------------------

EVIL = "a\r\n2026-01-01 00:00:00,000 INFO fake: all is well\x1b[2J\x07\u2028\u202e"


def test_nothing_a_client_sends_begins_a_line_of_the_log_or_steers_a_terminal(
    application, generate, caplog
):
    caplog.set_level(logging.INFO)
    quoted = "".join(f"%{byte:02x}" for byte in EVIL.encode())

    generate(positive_prompt=EVIL)
    send_json(application, "POST", "/api/v1/servers", {"alias": EVIL, "host": "h", "port": 1})
    send_json(application, "POST", "/api/v1/api-keys", {"name": EVIL})
    application.get(f"/api/v1/{quoted}", headers={"User-Agent": EVIL.replace("\r\n", " ")})
    application.get(f"/api/v1/servers/{quoted}")
    application.post(f"/api/v1/{quoted}", headers={"Origin": "http://evil.example"})
    application.get("/api/v1/servers", headers={"Host": "evil\x1b[2J.example"})

    lines = [record.getMessage() for record in caplog.records]
    assert lines
    assert not [line for line in lines if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u202e]", line)]


def test_an_alias_of_more_than_one_line_is_refused(application):
    body = {"alias": EVIL, "host": "127.0.0.1", "port": 7860}

    answer = send_json(application, "POST", "/api/v1/servers", json.dumps(body))

    assert answer.status_code == 400
    assert list(answer.json()["details"]["fields"]) == ["alias"]
