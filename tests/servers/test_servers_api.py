"""The REST resources of servers, as the contract and its known clients use them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apikeys import registry
from servers.models import Server
from tests.callers import key_headers, send_json

pytestmark = pytest.mark.django_db

SERVERS = "/api/v1/servers"
MAIN = {
    "alias": "Main",
    "host": "192.168.1.100",
    "port": 7860,
    "description": "Primary Forge Server",
}


@pytest.fixture
def call(client: Client) -> Any:
    """Ask as the Forge extension does, with a key."""
    headers = key_headers(registry.create(name="Forge extension"))

    def ask(method: str, path: str = SERVERS, body: Any = None) -> Any:
        if body is None:
            return client.generic(method, path, headers=headers)
        return send_json(client, method, path, body, **headers)

    return ask


def test_a_server_is_added_as_in_the_contract(call) -> None:
    answer = call("POST", body=MAIN)

    assert answer.status_code == 201
    assert answer.json()["alias"] == "Main"
    assert answer.json()["apiUrl"] == "http://192.168.1.100:7860"
    assert answer.json()["message"]


def test_the_list_is_a_bare_array_in_the_order_of_names(call) -> None:
    for alias in ("main", "Attic", "Laptop"):
        call("POST", body={**MAIN, "alias": alias})

    listed = call("GET").json()

    assert [server["alias"] for server in listed] == ["Attic", "Laptop", "main"]


def test_a_server_is_added_by_its_url_and_the_old_words_for_its_login(call) -> None:
    answer = call(
        "POST",
        body={"alias": "Old", "apiUrl": "http://10.0.0.5", "authUser": "me", "authPass": " x "},
    )

    assert answer.status_code == 201
    assert (answer.json()["host"], answer.json()["port"]) == ("10.0.0.5", 7860)
    assert answer.json()["has_password"]
    assert Server.objects.get()._login().pair == (b"me", b" x ")  # type: ignore[union-attr]


def test_a_server_keeps_copies_unless_told_otherwise(call) -> None:
    added = call("POST", body=MAIN)
    changed = call("PUT", f"{SERVERS}/Main", {"keeps_copies": False})
    untouched = call("PUT", f"{SERVERS}/Main", {"description": "Attic"})

    assert [answer.json()["keeps_copies"] for answer in (added, changed, untouched)] == [
        True,
        False,
        False,
    ]


def test_no_answer_holds_a_password(call) -> None:
    secrets = {"username": "me", "password": "sesame-1", "api_password": "sesame-2"}

    answers = [call("POST", body={**MAIN, **secrets}), call("GET"), call("GET", f"{SERVERS}/Main")]

    assert answers[0].status_code == 201
    assert not any(b"sesame" in answer.content for answer in answers)
    assert answers[1].json()[0]["has_api_password"]


def test_a_name_that_is_taken_is_a_conflict(call) -> None:
    call("POST", body=MAIN)

    answer = call("POST", body={**MAIN, "alias": "MAIN"})

    assert answer.status_code == 409
    assert answer.json()["details"]["code"] == "SERVER_EXISTS"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"host": "169.254.169.254"}, "host"),
        ({"host": ""}, "host"),
        ({"host": None}, "host"),
        ({"port": 0}, "port"),
        ({"port": "7860x"}, "port"),
        ({"alias": "null"}, "alias"),
        ({"alias": "a/b"}, "alias"),
        ({"alias": ["Main"]}, "alias"),
        ({"alias": "a\0b"}, "alias"),
        ({"apiUrl": "http://a@b"}, "apiUrl"),
        ({"apiUrl": "http://192.168.1.101:7860"}, "apiUrl"),
        ({"description": "x" * 501}, "description"),
        ({"password": "x" * 257}, "password"),
    ],
)
def test_a_bad_value_names_its_field_and_stores_nothing(call, changes, field) -> None:
    answer = call("POST", body={**MAIN, **changes})

    assert answer.status_code == 400
    assert field in answer.json()["details"]["fields"]
    assert not Server.objects.exists()


@pytest.mark.parametrize("body", [{"alias": "Main"}, {"alias": "Main", "port": 7860}, {}, [MAIN]])
def test_a_server_without_name_or_address_is_refused(call, body) -> None:
    assert call("POST", body=body).status_code == 400


def test_a_change_leaves_alone_what_it_does_not_name(call) -> None:
    call("POST", body={**MAIN, "username": "me", "password": "sesame"})

    answer = call("PUT", f"{SERVERS}/main", {"port": 7861})

    assert answer.status_code == 200
    assert answer.json()["apiUrl"] == "http://192.168.1.100:7861"
    assert answer.json()["description"] == "Primary Forge Server"
    assert answer.json()["has_password"]


def test_what_was_read_can_be_sent_back(call) -> None:
    read = call("POST", body={**MAIN, "apiUrl": "https://192.168.1.100:7860"}).json()

    answer = call("PUT", f"{SERVERS}/Main", {**read, "description": "In the attic"})

    assert answer.status_code == 200
    assert answer.json()["apiUrl"] == "https://192.168.1.100:7860"
    assert answer.json()["description"] == "In the attic"


def test_a_server_can_be_renamed_and_is_found_by_its_encoded_name(call) -> None:
    call("POST", body=MAIN)

    call("PUT", f"{SERVERS}/Main", {"alias": "Küche 100%"})

    assert call("GET", f"{SERVERS}/K%C3%BCche%20100%25").json()["alias"] == "Küche 100%"
    assert call("GET", f"{SERVERS}/Main").status_code == 404


def test_a_deleted_server_is_gone(call) -> None:
    call("POST", body=MAIN)

    answer = call("DELETE", f"{SERVERS}/main")

    assert answer.status_code == 200
    assert answer.json() == {"success": True, "message": "Server 'Main' deleted successfully."}
    assert call("GET").json() == []
    assert call("DELETE", f"{SERVERS}/main").status_code == 404


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_an_unknown_server_is_not_found(call, method: str) -> None:
    answer = call(method, f"{SERVERS}/nobody%00", {} if method == "PUT" else None)

    assert answer.status_code == 404
    assert answer.json()["error"] == "server_not_found"


def test_nobody_without_a_key_sees_servers(client) -> None:
    assert client.get(SERVERS).status_code == 401


def test_a_server_is_paused_drained_and_resumed(call) -> None:
    call("POST", body=MAIN)

    paused = call("POST", f"{SERVERS}/main/pause").json()
    draining = call("POST", f"{SERVERS}/main/drain").json()
    resumed = call("POST", f"{SERVERS}/main/resume").json()

    assert (paused["is_paused"], paused["drain"]) == (True, "")
    assert (draining["is_paused"], draining["drain"]) == (True, "draining")
    assert (resumed["is_paused"], resumed["drain"]) == (False, "")
    assert call("GET", f"{SERVERS}/main").json()["is_paused"] is False


def test_a_held_server_says_why_and_until_when(call) -> None:
    call("POST", body=MAIN)
    Server.objects.update(held_until="2026-11-25T03:00:00Z", held_reason="It failed.")

    shown = call("GET").json()[0]

    assert (shown["held_reason"], shown["held_until"][:19]) == ("It failed.", "2026-11-25T03:00:00")


@pytest.mark.parametrize("verb", ["pause", "drain", "resume"])
def test_a_server_that_is_not_there_is_not_steered(call, verb) -> None:
    answer = call("POST", f"{SERVERS}/nowhere/{verb}")

    assert (answer.status_code, answer.json()["error"]) == (404, "server_not_found")
