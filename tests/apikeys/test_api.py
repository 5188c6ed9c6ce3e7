"""The REST resources of keys, as the contract shows them."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.test import Client

from apikeys.models import ApiKey
from tests.callers import (
    EXTENSION_ORIGIN,
    FOREIGN_ORIGIN,
    OWN_ORIGIN,
    bearer,
    key_headers,
    our_page,
    send_json,
)

pytestmark = pytest.mark.django_db

KEYS = "/api/v1/api-keys"
SETUP = "/api/v1/api-keys/setup"


def one(new_key) -> str:
    return f"{KEYS}/{new_key.api_key.id}"


def test_setup_is_needed_until_a_key_exists(client):
    assert client.get(SETUP).json() == {"is_first_setup": True, "existing_keys_count": 0}

    answer = send_json(client, "POST", SETUP, {"name": "First", "description": "Initial"})

    assert answer.status_code == 201
    assert answer.json()["message"] == "First API key created successfully"
    assert client.get(SETUP).json() == {"is_first_setup": False, "existing_keys_count": 1}


def test_a_second_setup_is_a_conflict(client, new_key):
    answer = send_json(client, "POST", SETUP, {"name": "Second"})

    assert answer.status_code == 409
    assert answer.json()["error"] == "api_key_setup_done"


@pytest.mark.django_db(transaction=True)
def test_of_fifty_setups_at_once_exactly_one_makes_the_key():
    def setup(number: int) -> int:
        try:
            return int(send_json(Client(), "POST", SETUP, {"name": f"Key {number}"}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as threads:
        statuses = sorted(threads.map(setup, range(50)))

    assert statuses == [201] + [409] * 49
    assert ApiKey.objects.count() == 1


def test_a_new_key_is_answered_with_its_secret_once(client):
    answer = send_json(client, "POST", KEYS, {"name": "Extension Key", "description": "Mine"})

    assert answer.status_code == 201
    body = answer.json()
    assert (body["success"], body["message"]) == (True, "API key created successfully")
    made = body["api_key"]
    assert (made["name"], made["description"], made["is_active"]) == ("Extension Key", "Mine", True)
    assert re.fullmatch(r"mk_[0-9a-f]{32}", made["key"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["created_at"])
    assert made["secret"] not in client.get(KEYS).content.decode()


def test_the_list_shows_every_key_and_no_secret(client, new_key):
    body = client.get(KEYS).json()

    assert body["success"] is True
    [listed] = body["api_keys"]
    assert listed["id"] == str(new_key.api_key.id)
    assert (listed["usage_count"], listed["last_used_at"], listed["last_used"]) == (0, None, None)
    assert new_key.secret not in str(body)
    assert new_key.api_key.secret_hash not in str(body)


def test_one_key_is_shown_without_its_secret(client, new_key):
    body = client.get(one(new_key)).json()

    assert body["api_key"]["name"] == "Forge extension"
    assert new_key.api_key.secret_hash not in str(body)


def test_a_key_is_renamed_and_switched_off(client, new_key):
    answer = send_json(client, "PUT", one(new_key), {"name": "New name", "is_active": False})

    assert answer.status_code == 200
    changed = answer.json()["api_key"]
    assert (changed["name"], changed["is_active"]) == ("New name", False)
    assert changed["description"] == "On the laptop"


@pytest.mark.parametrize("body", [{}, {"unknown": 1}])
def test_a_change_of_nothing_is_refused(client, new_key, body):
    answer = send_json(client, "PUT", one(new_key), body)

    assert answer.status_code == 400
    assert (
        answer.json()["message"]
        == "Give a name, a description, is_active, a rate_limit or max_waiting."
    )


def test_a_deleted_key_is_gone(client, new_key):
    answer = client.delete(one(new_key))

    short = str(new_key.api_key.id)[:8]
    assert answer.json() == {
        "success": True,
        "message": f'API key "Forge extension" ({short}...) deleted successfully',
    }
    assert client.get(one(new_key)).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "\x1b[31mred"}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": ["x"]}, "name"),
        ({"name": "x", "description": "y" * 501}, "description"),
        ([], "body"),
        ("[1]", "body"),
    ],
)
def test_wrong_words_are_refused_with_the_field_named(client, body, field):
    answer = send_json(client, "POST", KEYS, body)

    assert answer.status_code == 400
    assert field in answer.json()["details"]["fields"]
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("name", [str(uuid.uuid4()), "' OR 1=1", "12", "..%2f..%2fetc"])
def test_an_unknown_id_is_not_found(client, method, name):
    answer = send_json(client, method, f"{KEYS}/{name}", {"name": "x"})

    assert answer.status_code == 404
    assert answer.json()["success"] is False


def test_a_name_is_text_whatever_it_holds(client):
    name = "<img src=x onerror=alert(1)> {{7*7}} 😀"

    send_json(client, "POST", KEYS, {"name": name})

    assert client.get(KEYS).json()["api_keys"][0]["name"] == name


def test_a_right_key_opens_the_routes_of_pages_too(client, new_key):
    assert client.get(KEYS, headers=key_headers(new_key)).status_code == 200


def test_every_wrong_key_is_refused_with_the_same_body(client, new_key):
    key, secret = new_key.api_key.key, new_key.secret
    wrong = [
        {"X-API-Key": key, "X-API-Secret": "wrong"},
        {"X-API-Key": "mk_unknown", "X-API-Secret": secret},
        {"X-API-Key": key},
        {"X-API-Key": "k" * 1_000_000, "X-API-Secret": secret},
        {"Authorization": "Bearer %%%"},
        bearer(key + secret),
        bearer(f"{key}:wrong"),
    ]

    answers = [our_page().get(KEYS, headers=headers) for headers in wrong]

    assert {answer.status_code for answer in answers} == {401}
    assert {(a.json()["error"], a.json()["message"]) for a in answers} == {
        ("unauthorized", answers[0].json()["message"])
    }
    assert answers[0]["WWW-Authenticate"].startswith("Bearer")


def test_an_inactive_key_is_refused_at_once(client, new_key):
    send_json(client, "PUT", one(new_key), {"is_active": False})

    assert client.get(KEYS, headers=key_headers(new_key)).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Mode": "cors"}, {"Referer": FOREIGN_ORIGIN}],
)
def test_a_browser_without_our_cookie_is_no_local_tool(client, headers):
    answer = client.get(KEYS, headers=headers)

    assert answer.status_code == 403
    assert answer.json()["error"] == "origin_refused"


def test_our_page_manages_keys_without_any_key():
    answer = send_json(our_page(), "POST", KEYS, {"name": "x"}, Origin=OWN_ORIGIN)

    assert answer.status_code == 201


@pytest.mark.parametrize("origin", [EXTENSION_ORIGIN, FOREIGN_ORIGIN, "null"])
def test_no_other_page_manages_keys_whatever_it_holds(new_key, origin):
    headers = {"Origin": origin, **key_headers(new_key)}

    made = send_json(our_page(), "POST", KEYS, {"name": "x"}, **headers)
    listed = our_page().get(KEYS, headers=headers)

    assert (made.status_code, listed.status_code) == (403, 403)
    assert "Access-Control-Allow-Origin" not in listed.headers
    assert ApiKey.objects.count() == 1
