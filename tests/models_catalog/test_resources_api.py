"""The lists of checkpoints, LoRAs and samplers, put together from all servers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from models_catalog.listings import CHECKPOINTS, LISTINGS, MAX_ENTRIES, Question
from servers.fleet import mark_health, remove_server, update_server
from servers.forge import ForgeStalled
from servers.models import Health
from servers.simulator import ForgeSimulator, ModelFile
from tests.models_catalog.conftest import V8_SHA256, hang, server_at
from tests.servers.stand_in import answer_bytes, answer_json

V8 = "Pony/cyberrealisticPony_v8.safetensors"
SD_MODELS = "/sdapi/v1/sd-models"


def test_the_same_checkpoint_on_windows_and_linux_is_one_entry(call, windows, linux):
    server_at("Attic", windows.port)
    server_at("Laptop", linux.port)

    answer = call("checkpoints").json()

    assert (answer["success"], answer["count"]) == (True, 5)
    [entry] = [entry for entry in answer["checkpoints"] if entry["name"] == V8]
    assert entry == {
        "name": V8,
        "title": "Pony\\cyberrealisticPony_v8.safetensors [9f90c59f3a]",
        "model_name": "Pony_cyberrealisticPony_v8",
        "hash": "9f90c59f3a",
        "sha256": V8_SHA256,
        "filename": "cyberrealisticPony_v8.safetensors",
        "servers": ["Attic", "Laptop"],
        "server_names": {"Attic": V8.replace("/", "\\"), "Laptop": V8},
    }


def test_lists_are_sorted_and_what_is_unknown_is_null(call, linux):
    server_at("Laptop", linux.port)

    entries = call("checkpoints").json()["checkpoints"]

    names = [entry["name"] for entry in entries]
    assert names == sorted(names, key=str.casefold)
    assert (entries[1]["hash"], entries[1]["sha256"]) == (None, None)


def test_no_answer_tells_where_files_lie_on_a_server(call, windows, linux):
    server_at("Attic", windows.port)
    server_at("Laptop", linux.port)

    for path in ("checkpoints", "loras", "models", "debug/models-cache"):
        answer = call(path).content
        assert b"/home/user" not in answer
        assert b"forge\\\\webui" not in answer


def test_different_files_of_one_name_stay_apart(call, linux):
    other = ModelFile(V8, sha256="ff" * 32, hashed=True)
    with ForgeSimulator([other]) as simulator:
        server_at("Attic", simulator.port)
        server_at("Laptop", linux.port)

        entries = [e for e in call("checkpoints").json()["checkpoints"] if e["name"] == V8]

    assert {(entry["hash"], *entry["servers"]) for entry in entries} == {
        ("ffffffffff", "Attic"),
        ("9f90c59f3a", "Laptop"),
    }


def test_a_server_that_has_not_hashed_a_file_has_the_same_one(call, linux):
    with ForgeSimulator([ModelFile(V8)]) as simulator:
        server_at("Attic", simulator.port)
        server_at("Laptop", linux.port)

        [entry] = [e for e in call("checkpoints").json()["checkpoints"] if e["name"] == V8]

    assert entry["servers"] == ["Attic", "Laptop"]
    assert entry["hash"] == "9f90c59f3a"


def test_loras_and_samplers_are_listed_by_name(call, windows, linux):
    server_at("Attic", windows.port)
    server_at("Laptop", linux.port)

    loras, samplers = call("loras").json(), call("samplers").json()

    both = ["Attic", "Laptop"]
    assert loras["loras"] == [
        {"name": "fakestyle_v1", "alias": "fakestyle", "servers": both},
        {"name": "ink_v1", "alias": "ink", "servers": both},
    ]
    assert {"name": "Euler", "servers": both} in samplers["samplers"]
    assert samplers["count"] == len(samplers["samplers"])


def test_one_server_can_be_asked_for(call, windows, linux):
    server_at("Attic", windows.port)
    server_at("Laptop", linux.port)

    answer = call("checkpoints", server_alias="laptop").json()

    assert [server["alias"] for server in answer["servers"]] == ["Laptop"]
    assert {tuple(entry["servers"]) for entry in answer["checkpoints"]} == {("Laptop",)}


@pytest.mark.parametrize("path", ["checkpoints", "loras", "samplers"])
def test_an_unknown_server_is_not_found(call, path):
    answer = call(path, server_alias="nobody")

    assert answer.status_code == 404
    assert answer.json()["details"]["code"] == "SERVER_NOT_FOUND"


@pytest.mark.parametrize("path", ["checkpoints", "loras", "samplers"])
def test_without_servers_the_lists_are_empty(call, path):
    assert call(path).json() == {"success": True, "count": 0, path: [], "servers": []}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["checkpoints", "loras", "samplers", "models", "debug/models-cache"]
)
def test_nobody_without_a_key_sees_them(client, path):
    assert client.get(f"/api/v1/{path}").status_code == 401


# --- servers that do not answer --------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
def test_a_dead_and_a_hanging_server_keep_nothing_from_the_good_one(
    call, linux, forge, closed_port
):
    hang(forge, SD_MODELS)
    for alias, port in (("Dead", closed_port), ("Good", linux.port), ("Hanging", forge.port)):
        server_at(alias, port)

    answer = call("checkpoints").json()

    assert answer["count"] == 5
    told = {server["alias"]: (server["ok"], server["code"]) for server in answer["servers"]}
    assert told == {
        "Dead": (False, "FORGE_UNREACHABLE"),
        "Good": (True, None),
        "Hanging": (False, "FORGE_CONNECTION_LOST"),
    }
    assert "no whole answer within 1 seconds" in answer["servers"][2]["error"]


def test_all_servers_are_asked_for_all_lists_at_once(call, forge):
    everybody = threading.Barrier(12)

    def answer_when_all_are_asked(handler):
        everybody.wait(10)
        answer_json([])(handler)

    for path in (SD_MODELS, "/sdapi/v1/loras"):
        forge.routes[path] = answer_when_all_are_asked
    for number in range(6):
        server_at(f"Attic {number}", forge.port)

    answer = call("models").json()

    assert [server["ok"] for server in answer["servers"]] == [True] * 6


@pytest.mark.django_db
@pytest.mark.usefixtures("impatient")
def test_a_question_that_never_comes_back_is_given_up(closed_port):
    released = threading.Event()

    def stuck(client):
        released.wait(30)
        return ()

    # As when the look-up of a machine's name hangs, which no time limit ends.
    server = server_at("Attic", closed_port)
    [listing] = LISTINGS.ask([server], Question("stuck", stuck, list)).collect()
    released.set()

    assert isinstance(listing.error, ForgeStalled)
    assert listing.age is None


def test_a_server_known_to_be_offline_is_named_without_being_asked(call, forge):
    server = server_at("Attic", forge.port)
    mark_health(server_id=server.pk, health=Health.OFFLINE, reason="It sleeps.")

    [statement] = call("checkpoints").json()["servers"]

    assert (statement["ok"], statement["error"]) == (False, "It sleeps.")
    assert statement["age_seconds"] is None
    assert not forge.requests


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (answer_json({"detail": "Not Found"}, 404), "FORGE_NOT_READY"),
        (answer_json({"detail": "Not authenticated"}, 401), "FORGE_UNAUTHORIZED"),
        (answer_bytes(b"<html>a printer</html>"), "FORGE_BAD_REPLY"),
        (answer_json({"checkpoints": []}), "FORGE_BAD_REPLY"),
    ],
)
def test_a_server_that_answers_otherwise_is_named_with_the_reason(call, forge, behaviour, code):
    forge.routes[SD_MODELS] = behaviour
    server_at("Attic", forge.port)

    answer = call("checkpoints")

    assert answer.status_code == 200
    assert answer.json()["servers"][0]["code"] == code


def test_monstrous_lists_are_cut_and_say_so(call, forge):
    entries = [{"title": f"{number}.safetensors"} for number in range(MAX_ENTRIES + 5)]
    odd = [{"title": ""}, {"title": "x" * 2000}, {"title": 7}]
    forge.routes[SD_MODELS] = answer_json([*odd, *entries])
    server_at("Attic", forge.port)

    answer = call("checkpoints").json()

    assert answer["count"] == MAX_ENTRIES
    assert answer["servers"][0]["left_out"] == 8


# --- memory ----------------------------------------------------------------------------------


def test_a_list_is_asked_for_once_in_a_while(call, forge):
    forge.routes[SD_MODELS] = answer_json([{"title": "a.safetensors"}])
    server_at("Attic", forge.port)

    answers = [call("checkpoints").json() for _ in range(3)]

    assert len(forge.asked(SD_MODELS)) == 1
    assert [answer["count"] for answer in answers] == [1, 1, 1]
    assert answers[2]["servers"][0]["age_seconds"] >= 0


def test_an_old_list_is_asked_for_again(call, forge, settings):
    settings.TIME_SCALE = 0.001
    forge.routes[SD_MODELS] = answer_json([])
    server_at("Attic", forge.port)

    deadline = time.monotonic() + 10
    while len(forge.asked(SD_MODELS)) < 3:
        assert time.monotonic() < deadline
        call("checkpoints")


def test_a_changed_server_is_asked_at_once(call, forge):
    forge.routes[SD_MODELS] = answer_json([])
    server = server_at("Attic", forge.port)
    call("checkpoints")

    update_server(server_id=server.pk, description="Moved to the cellar")
    call("checkpoints")

    assert len(forge.asked(SD_MODELS)) == 2


def test_a_removed_server_lists_nothing_any_more(call, linux):
    server = server_at("Laptop", linux.port)
    assert call("checkpoints").json()["count"] == 5

    remove_server(server_id=server.pk)

    assert call("checkpoints").json()["count"] == 0


@pytest.mark.django_db
def test_many_who_ask_at_once_are_one_question_to_the_server(forge):
    arrived = threading.Event()

    def answer_late(handler):
        arrived.wait(10)
        answer_json([{"title": "a.safetensors"}])(handler)

    forge.routes[SD_MODELS] = answer_late
    server = server_at("Attic", forge.port)

    asked = [LISTINGS.ask([server], CHECKPOINTS) for _ in range(20)]
    arrived.set()
    with ThreadPoolExecutor(20) as threads:
        listings = [found for [found] in threads.map(lambda one: one.collect(), asked)]

    assert {len(listing.entries) for listing in listings} == {1}
    assert len(forge.asked(SD_MODELS)) == 1


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_a_server_leaves_the_database_to_others(forge):
    forge.routes[SD_MODELS] = answer_json([])
    server = server_at("Attic", forge.port)
    assert connection.connection is not None

    [listing] = LISTINGS.ask([server], CHECKPOINTS).collect()

    assert listing.error is None
    assert connection.connection is None
