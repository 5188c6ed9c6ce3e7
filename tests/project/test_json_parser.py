"""What is taken for JSON, and what is refused before any view sees it."""

from __future__ import annotations

import json

import pytest

from tests.callers import send_json

pytestmark = pytest.mark.usefixtures("example_routes")


def post(client, body: bytes | str):
    return send_json(client, "POST", "/api/v1/page", body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("{}", {}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"a": "é😀\\ud83d\\ude00"}', {"a": "é😀😀"}),
        ('{"__proto__": {"x": 1}}', {"__proto__": {"x": 1}}),
        ("[1, 2.5, null, true]", [1, 2.5, None, True]),
        ("[" * 64 + "]" * 64, json.loads("[" * 64 + "]" * 64)),
        (b"", {}),
    ],
)
def test_json_is_read(local_tool, body, value):
    assert post(local_tool, body).json() == {"seen": value}


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "not json",
        '{"a": NaN}',
        '{"a": Infinity}',
        '{"a": -Infinity}',
        '{"a": 1e400}',
        "1" * 5000,
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "\xff"}',
        b"\x1f\x8b\x08\x00",
        '{"a": "\0"}',
        "[" * 65 + "]" * 65,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        json.dumps([0] * 200_001),
    ],
)
def test_what_is_no_sound_json_is_refused(local_tool, body):
    answer = post(local_tool, body)

    assert answer.status_code == 400
    assert answer.json()["error"] == "broken_json"
    assert len(answer.json()["message"]) < 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ('{"generation_params": {"prompt": "a\\u0000b"}}', "generation_params.prompt"),
        ('{"jobs": [{}, {"alias": "\\u0000"}]}', "jobs.1.alias"),
        ('{"params": {"\\u0000": 1}}', "params"),
        ('"\\u0000"', "body"),
        ('{"a": "\\ud800"}', "a"),
    ],
)
def test_text_the_database_cannot_hold_is_refused_with_its_place(local_tool, body, field):
    answer = post(local_tool, body)

    assert answer.status_code == 400
    assert list(answer.json()["details"]["fields"]) == [field]
