"""GET /debug/verify-checkpoint: the decision table of names, asked over HTTP of real listings."""

from __future__ import annotations

import pytest

from tests.models_catalog.conftest import V8_SHA256, hang, server_at
from tests.servers.stand_in import answer_json

V8 = "Pony/cyberrealisticPony_v8.safetensors"
SDXL_BASE = "sd_xl_base_1.0.safetensors"
VERIFY = "debug/verify-checkpoint"


@pytest.fixture(params=["windows", "linux"])
def separator(request, db) -> str:
    """A server "Laptop" of either kind; its separator of folders."""
    server_at("Laptop", request.getfixturevalue(request.param).port)
    return "\\" if request.param == "windows" else "/"


def verify(call, path, alias="Laptop"):
    return call(VERIFY, checkpoint_path=path, server_alias=alias)


def test_it_answers_as_in_the_contract(call, windows):
    server_at("Laptop", windows.port)

    answer = verify(call, V8).json()

    assert answer == {
        "success": True,
        "original_path": "Pony/cyberrealisticPony_v8.safetensors",
        "normalized_path": "Pony\\cyberrealisticPony_v8.safetensors",
        "matched_model": "Pony\\cyberrealisticPony_v8.safetensors [9f90c59f3a]",
        "matched_by": "path",
        "warning": None,
        "suggestions": [],
        "candidates": [],
        "available_models": answer["available_models"],
    }
    assert answer["matched_model"] in answer["available_models"]
    assert len(answer["available_models"]) == 5


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("Pony\\cyberrealisticPony_v8.safetensors [9f90c59f3a]", V8),
        ("Pony\\cyberrealisticPony_v8.safetensors", V8),
        (V8, V8),
        (f"{V8} [9f90c59f3a]", V8),
        ("cyberrealisticPony_v8", V8),
        ("cyberrealisticPony_v8.safetensors", V8),
        ("cyberrealisticPony_v8 [9f90c59f3a]", V8),
        ("cyberrealisticPony_v8.safetensors [9f90c59f3a]", V8),
        ("9f90c59f3a", V8),
        ("9F90C59F3A", V8),
        (V8_SHA256, V8),
        ("Pony_cyberrealisticPony_v8", V8),
        ("Pony\\cyberrealisticPony_v8", V8),
        ("pony\\CyberRealisticPony_V8.safetensors", V8),
        ("D:\\forge\\models\\Stable-diffusion\\Pony\\cyberrealisticPony_v8.safetensors", V8),
        (f"/mnt/user/models/Stable-diffusion/{V8}", V8),
        (f"models/Stable-diffusion/{V8}", V8),
        (f"models/{V8}", V8),
        (f"/{V8}", V8),
        (f"./{V8}", V8),
        (f" {V8} ", V8),
        (f'"{V8}"', V8),
        ("renamed.safetensors [9f90c59f3a]", V8),
        ("SDXL/model.safetensors", "SDXL/model.safetensors"),
        ("sd_xl_base_1.0", SDXL_BASE),
    ],
)
def test_a_name_leads_to_the_checkpoint_it_means(call, separator, wanted, expected):
    answer = verify(call, wanted).json()

    name = expected.replace("/", separator)
    assert answer["original_path"] == wanted
    assert answer["normalized_path"] == name
    assert answer["matched_model"].partition(" [")[0] == name
    assert answer["matched_by"]


@pytest.mark.parametrize(
    "wanted", ["cyberrealisticPony_v8.ckpt", "nope.safetensors", "0f1e2d3c", "Sub/nope"]
)
def test_a_name_the_server_does_not_have_matches_nothing(call, separator, wanted):
    answer = verify(call, wanted)

    assert answer.status_code == 200
    assert (answer.json()["matched_model"], answer.json()["matched_by"]) == (None, None)
    assert answer.json()["normalized_path"] == wanted.replace("/", separator)


def test_names_that_look_alike_are_only_offered(call, separator):
    answer = verify(call, "cyberealisticPony_v8").json()

    assert answer["matched_model"] is None
    assert V8.replace("/", separator) in answer["suggestions"]


def test_a_name_of_two_checkpoints_names_both(call, separator):
    answer = verify(call, "model").json()

    assert answer["matched_model"] is None
    assert set(answer["candidates"]) == {
        f"Pony{separator}model.safetensors",
        f"SDXL{separator}model.safetensors",
    }


def test_a_hash_that_contradicts_the_path_is_a_warning(call, separator):
    answer = verify(call, f"{V8} [ffffffffff]").json()

    assert answer["matched_model"]
    assert answer["warning"] == "hash_mismatch"


@pytest.mark.parametrize("wanted", ["None", "none", '""', " "])
def test_a_name_for_no_checkpoint_of_its_own_is_said_to_be_one(call, separator, wanted):
    answer = verify(call, wanted).json()

    assert (answer["matched_model"], answer["warning"]) == (None, "no_override")


@pytest.mark.parametrize(
    "wanted", ["../../etc/x.safetensors", "..\\x", "C:\\..\\x", "a\nb", "x" * 1025]
)
def test_what_can_be_no_name_is_refused(call, separator, wanted):
    answer = verify(call, wanted)

    assert answer.status_code == 400
    assert answer.json()["details"]["code"] == "CHECKPOINT_NAME_INVALID"


@pytest.mark.parametrize("missing", ["checkpoint_path", "server_alias"])
def test_a_missing_parameter_is_named(call, separator, missing):
    query = {"checkpoint_path": V8, "server_alias": "Laptop"}

    for broken in ({**query, missing: ""}, {k: v for k, v in query.items() if k != missing}):
        answer = call(VERIFY, **broken)

        assert answer.status_code == 400
        assert list(answer.json()["details"]["fields"]) == [missing]


def test_an_unknown_server_is_not_found(call):
    answer = verify(call, V8, alias="nobody")

    assert answer.status_code == 404
    assert answer.json()["error"] == "server_not_found"


@pytest.mark.usefixtures("impatient")
def test_a_server_that_does_not_answer_is_unavailable(call, forge, closed_port):
    hang(forge, "/sdapi/v1/sd-models")
    server_at("Hanging", forge.port)
    server_at("Dead", closed_port)

    for alias in ("Hanging", "Dead"):
        answer = verify(call, V8, alias=alias)

        assert answer.status_code == 503
        assert answer.json()["details"]["code"] == "SERVER_UNAVAILABLE"
        assert f"'{alias}'" in answer.json()["message"]


def test_a_server_without_checkpoints_matches_nothing(call, forge):
    forge.routes["/sdapi/v1/sd-models"] = answer_json([])
    server_at("Empty", forge.port)

    answer = verify(call, V8, alias="Empty").json()

    assert (answer["matched_model"], answer["available_models"]) == (None, [])


@pytest.mark.django_db
def test_nobody_without_a_key_may_ask(client):
    assert client.get(f"/api/v1/{VERIFY}").status_code == 401


def test_the_cache_shows_each_checkpoint_in_all_its_spellings(call, windows, linux):
    server_at("Attic", windows.port)
    server_at("Laptop", linux.port)

    answer = call("debug/models-cache").json()

    assert answer["cache_size"] == len(answer["models"]) == 5
    [entry] = [entry for entry in answer["models"] if entry["path"] == V8]
    assert isinstance(entry.pop("id"), int)
    assert entry == {
        "name": "cyberrealisticPony_v8",
        "path": "Pony/cyberrealisticPony_v8.safetensors",
        "normalized_path": "Pony\\cyberrealisticPony_v8.safetensors",
        "hash": "9f90c59f3a",
        "title": "Pony\\cyberrealisticPony_v8.safetensors [9f90c59f3a]",
        "aliases": [V8, V8.replace("/", "\\")],
        "servers": ["Attic", "Laptop"],
    }


def test_a_checkpoint_at_the_root_has_one_spelling(call, linux):
    server_at("Laptop", linux.port)

    models = call("debug/models-cache").json()["models"]

    [entry] = [entry for entry in models if entry["path"] == SDXL_BASE]
    assert entry["aliases"] == [SDXL_BASE]
