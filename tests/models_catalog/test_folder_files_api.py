"""The Models API over a folder that a test has made and scanned."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from urllib.parse import quote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from PIL import Image as Picture

from models_catalog import hashing, preview_thumbnails, scanner, scans
from models_catalog.models import FolderFile
from servers.simulator import ForgeSimulator, ModelFile
from tests.callers import send_json
from tests.contracts.examples import assert_like, load
from tests.factories import png
from tests.models_catalog.civitai_samples import sample
from tests.models_catalog.conftest import hang, server_at
from tests.models_catalog.model_folders import LORA_TENSORS, put, safetensors
from tests.models_catalog.test_models_api import INFO_FIELDS, MODEL_FIELDS, code_of

pytestmark = pytest.mark.django_db(transaction=True)

FLUX = "acornIsSpinningFLUX_aisf11H8stpChinfx.safetensors"
JPEG = b"\xff\xd8\xff\xe0 a picture"


@pytest.fixture
def scan(checkpoints, loras):
    """Look through the folders as they are, and hash what is there."""

    def run():
        scans.want()
        scanner.scan()
        hashing.hash_due()

    return run


@pytest.fixture
def listed(call):
    """The rows of a list, by file name."""

    def ask(**query):
        return {row["filename"]: row for row in call("models", **query).json()["models"]}

    return ask


def info(call, model_id, **query):
    answer = call(f"models/{quote(str(model_id), safe='')}/info", **query)
    assert answer.status_code == 200, answer.content
    return answer.json()["model"]


# --- list and info ---------------------------------------------------------------------------


def test_a_file_is_listed_with_all_that_is_known_of_it(checkpoints, scan, listed):
    file = put(checkpoints / "anime" / "wai.safetensors")
    put(file.with_suffix(".civitai.info"), json.dumps(sample("model-version-2026")).encode())
    put(file.with_suffix(".preview.png"), png())
    scan()

    row = listed()["wai.safetensors"]

    assert set(row) == MODEL_FIELDS
    assert (row["relativePath"], row["type"]) == ("anime", "checkpoint")
    assert row["size"] == file.stat().st_size
    assert row["created"].endswith("Z")
    assert (row["baseModel"], row["base_model_source"]) == ("Illustrious", "civitai")
    assert row["civitai_url"] == "https://civitai.com/models/827184"
    assert row["preview_url"] == "/api/v1/models/wai.safetensors/preview?type=checkpoint"
    assert row["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert row["hash"] == row["sha256"][:10]


def test_info_keeps_every_field_of_the_contract_with_its_type(checkpoints, scan, call):
    file = put(checkpoints / FLUX)
    version = {
        **sample("by-hash-hit"),
        "stats": {"downloadCount": 5, "ratingCount": 9, "rating": 4.8},
    }
    put(file.with_suffix(".civitai.info"), json.dumps(version).encode())
    put(file.with_suffix(".api_info.json"), json.dumps(sample("model-2025-lora")).encode())
    put(file.with_suffix(".jpg"), JPEG)
    put(file.with_suffix(".preview.png"), png())
    scan()

    model = info(call, FLUX)

    assert set(model) >= INFO_FIELDS
    assert model["relativePath"] == "/"
    assert (model["downloads"], model["rating"]) == (5, 4.8)
    assert model["trigger_words"] == ["aesthetic_pos3", "dynamic_pos3"]
    assert model["tags"]
    assert model["preview_images"] == [
        f"/api/v1/models/{FLUX}/preview?type=checkpoint&index={index}" for index in (0, 1)
    ]
    assert model["metadata_source"] == "civitai_api"
    assert model["hashes"]["AutoV2"] == model["hash"]


def test_the_examples_of_the_contract_hold_for_a_file_in_a_folder(checkpoints, scan, call):
    listed, full = load("model-list")["response"], load("model-info")["response"]
    example = full["model"]
    file = put(checkpoints / example["filename"])
    told = {
        "id": example["model_version_id"],
        "modelId": example["civitai_id"],
        "baseModel": example["baseModel"],
        "trainedWords": example["trigger_words"],
        "model": {
            "name": example["civitai_name"],
            "description": f"<p>{listed['models'][0]['description']}</p>",
            "tags": example["tags"],
        },
        "stats": {
            "downloadCount": example["downloads"],
            "favoriteCount": example["favorited"],
            "rating": example["rating"],
            "ratingCount": 1,
        },
    }
    put(file.with_suffix(".civitai.info"), json.dumps(told).encode())
    put(file.with_suffix(".preview.png"), png())
    put(file.with_suffix(".jpg"), JPEG)
    scan()
    example["description"] = listed["models"][0]["description"]

    assert_like(listed, call("models").json())
    assert_like(full, call(f"models/{example['filename']}/info").json())
    assert None not in [info(call, example["filename"])[name] for name in example]


def test_a_long_description_is_cut_in_the_list_only(checkpoints, scan, listed, call):
    file = put(checkpoints / "a.safetensors")
    put(file.with_suffix(".txt"), b"long " * 500)
    scan()

    assert len(listed()["a.safetensors"]["description"]) == 303
    assert len(info(call, "a.safetensors")["description"]) == 2499


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, {"xl.safetensors", "pony.safetensors", "odd.gguf", "ink.safetensors"}),
        ({"type": "lora"}, {"ink.safetensors"}),
        ({"baseModel": "SDXL 1.0"}, {"xl.safetensors", "ink.safetensors"}),
        ({"baseModel": "sdxl"}, {"xl.safetensors", "ink.safetensors"}),
        ({"baseModel": "Pony"}, {"pony.safetensors"}),
        ({"baseModel": "unknown"}, {"odd.gguf"}),
        ({"baseModel": "Flux"}, set()),
        ({"type": "lora", "baseModel": "Pony"}, set()),
    ],
)
def test_files_are_filtered_by_type_and_base_model_or_family(
    checkpoints, loras, scan, listed, query, names
):
    put(checkpoints / "xl.safetensors")
    put(checkpoints / "pony.safetensors")
    put(checkpoints / "pony.json", b'{"baseModel": "Pony"}')
    put(checkpoints / "odd.gguf", b"GGUF")
    put(loras / "ink.safetensors", safetensors(LORA_TENSORS))
    scan()

    assert set(listed(**query)) == names


def test_the_same_bytes_twice_are_told(checkpoints, loras, scan, listed, call):
    put(checkpoints / "a.safetensors")
    put(checkpoints / "copy" / "b.safetensors")
    put(checkpoints / "other.safetensors", safetensors(fill=b"x"))
    scan()

    twins = info(call, "a.safetensors")["duplicates"]

    assert [twin["path"] for twin in twins] == ["copy/b.safetensors"]
    assert set(listed(duplicates="true")) == {"a.safetensors", "b.safetensors"}


def test_a_hostile_file_is_listed_with_its_condition(checkpoints, scan, listed, call):
    put(checkpoints / "bad.safetensors", b"\xff" * 100)
    put(checkpoints / "pickle.ckpt", b"cos\nsystem\n")
    scan()

    assert listed()["bad.safetensors"]["condition"] == "unreadable"
    assert "shorter than its header" in info(call, "bad.safetensors")["trouble"]
    assert listed()["pickle.ckpt"]["condition"] == "unsafe"


# --- which file is meant ---------------------------------------------------------------------


def test_a_file_is_meant_by_name_path_or_id(checkpoints, scan, call):
    put(checkpoints / "Pony" / "a.safetensors")
    scan()
    row = FolderFile.objects.get()

    for wanted in ("a.safetensors", "Pony/a.safetensors", "Pony\\a.safetensors", row.pk):
        assert info(call, wanted)["id"] == row.pk


def test_a_name_in_two_folders_is_ambiguous_and_its_urls_use_the_id(
    checkpoints, scan, call, listed
):
    put(checkpoints / "Pony" / "model.safetensors")
    put(checkpoints / "SDXL" / "model.safetensors")
    put(checkpoints / "SDXL" / "model.png", png())
    scan()

    refused = call("models/model.safetensors/info")

    assert code_of(refused) == (409, "MODEL_AMBIGUOUS")
    assert "Pony/model.safetensors (id " in refused.json()["message"]
    [with_preview] = [row for row in call("models").json()["models"] if row["has_preview"]]
    assert f"/models/{with_preview['id']}/preview" in with_preview["preview_url"]
    assert preview(with_preview["id"])[0] == 200
    assert info(call, "SDXL/model.safetensors")["relativePath"] == "SDXL"


def test_a_file_of_either_type_may_have_the_same_name(checkpoints, loras, scan, call):
    put(checkpoints / "x.safetensors")
    put(loras / "x.safetensors", safetensors(LORA_TENSORS))
    scan()

    assert info(call, "x.safetensors")["type"] == "checkpoint"
    assert info(call, "x.safetensors", type="lora")["type"] == "lora"


# --- with servers ----------------------------------------------------------------------------


def test_servers_that_have_a_file_are_told_whatever_slash_they_write(
    checkpoints, loras, scan, listed, call, windows, linux
):
    put(checkpoints / "Pony" / "cyberrealisticPony_v8.safetensors")
    put(loras / "styles" / "ink_v1.safetensors", safetensors(LORA_TENSORS))
    put(checkpoints / "only_here.safetensors")
    scan()
    FolderFile.objects.update(sha256="", hash_trouble="not yet")
    server_at("Windows", windows.port)
    server_at("Linux", linux.port)

    found = listed()

    assert set(found["cyberrealisticPony_v8.safetensors"]["servers"]) == {"Windows", "Linux"}
    assert set(found["ink_v1.safetensors"]["servers"]) == {"Windows", "Linux"}
    assert found["only_here.safetensors"]["servers"] == []
    # What no folder holds is listed all the same.
    assert found["cyberrealisticPony_v85.safetensors"]["size"] is None
    assert len(call("models").json()["models"]) == 8
    assert set(info(call, "ink_v1.safetensors", type="lora")["servers"]) == {"Windows", "Linux"}


def test_a_file_of_the_same_name_with_another_hash_is_another(checkpoints, scan, call):
    ours = put(checkpoints / "x.safetensors")
    put(checkpoints / "renamed.safetensors", safetensors(fill=b"y"))
    scan()
    same = hashlib.sha256((checkpoints / "renamed.safetensors").read_bytes()).hexdigest()
    files = [
        ModelFile("x.safetensors", sha256="ff" * 32, hashed=True),
        ModelFile("elsewhere/as.safetensors", sha256=same, hashed=True),
    ]
    with ForgeSimulator(files) as forge:
        server_at("Laptop", forge.port)
        rows = call("models", type="checkpoint").json()["models"]

    assert [(row["filename"], row["servers"]) for row in rows] == [
        ("renamed.safetensors", ["Laptop"]),
        ("x.safetensors", []),
        ("x.safetensors", ["Laptop"]),
    ]
    assert ours.stat().st_size == rows[1]["size"]


@pytest.mark.usefixtures("impatient")
def test_a_preview_waits_for_no_server(checkpoints, scan, forge):
    put(checkpoints / "a.safetensors")
    put(checkpoints / "a.png", png())
    scan()
    hang(forge, "/sdapi/v1/sd-models")
    server_at("Attic", forge.port)

    assert preview()[0] == 200


# --- previews --------------------------------------------------------------------------------


def preview(name="a.safetensors", **query):
    answer = Client().get(f"/api/v1/models/{name}/preview", query)
    return answer.status_code, answer.headers.get("Content-Type"), answer.getvalue()


def test_previews_are_served_in_the_stated_order_by_what_they_are(checkpoints, loras, scan):
    cover = base64.b64encode(png("green")).decode()
    put(
        checkpoints / "a.safetensors",
        safetensors(metadata={"ssmd_cover_images": json.dumps([cover])}),
    )
    put(checkpoints / "a.PREVIEW.png", JPEG)
    put(checkpoints / "a.jpg", png("blue"))
    put(checkpoints / "a.webp", b"RIFF\0\0\0\0WEBPVP8 ")
    put(checkpoints / "a_1.png", png())
    scan()

    assert preview() == (200, "image/jpeg", JPEG)
    assert preview(index=1) == (200, "image/png", png("blue"))
    assert preview(index=2)[1] == "image/webp"
    assert preview(index=3) == (200, "image/png", png("green"))
    assert preview(index=4)[0] == 404


@pytest.mark.parametrize(
    "content", [b"<script>alert(1)</script>", b"<svg/>", b"", b"SIMPLE  =", b"\0" * 64]
)
def test_what_is_no_picture_is_not_served(checkpoints, scan, content):
    put(checkpoints / "a.safetensors")
    put(checkpoints / "a.png", content)
    scan()

    assert preview()[0] == 404


def test_a_preview_that_came_to_lie_elsewhere_is_not_served(checkpoints, scan, tmp_path):
    put(checkpoints / "a.safetensors")
    picture = put(checkpoints / "a.png", png())
    scan()
    picture.rename(tmp_path / "secret.png")
    picture.symlink_to(tmp_path / "secret.png")
    assert preview()[0] == 404

    picture.unlink()
    os.mkfifo(picture)
    assert preview()[0] == 404
    picture.unlink()
    assert preview()[0] == 404


def test_a_preview_is_fetched_once_and_again_when_it_changed(checkpoints, scan):
    put(checkpoints / "a.safetensors")
    picture = put(checkpoints / "a.png", png())
    scan()
    path, client = "/api/v1/models/a.safetensors/preview", Client()
    first = client.get(path)
    first.getvalue()
    tag = {"If-None-Match": first.headers["ETag"]}

    assert first.headers["Cache-Control"] == "private, max-age=300"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in first.headers["Content-Security-Policy"]
    assert client.get(path, headers=tag).status_code == 304
    put(picture, png("blue", (9, 9)))
    anew = client.get(path, headers=tag)
    assert (anew.status_code, anew.getvalue()) == (200, png("blue", (9, 9)))


# --- scans -----------------------------------------------------------------------------------


def test_a_scan_is_wanted_followed_and_stopped(checkpoints, call):
    put(checkpoints / "a.safetensors")
    assert call("models/scan").json()["scan"] is None

    wanted = call("models/scan", {})

    assert wanted.status_code == 202
    assert wanted.json()["scan"]["state"] == "wanted"
    assert call("models/scan/stop", {}).json()["scan"]["state"] == "stopped"
    call("models/scan", {})
    scanner.scan()
    told = call("models/scan").json()
    assert (told["scan"]["state"], told["scan"]["added"]) == ("finished", 1)
    assert (told["files"], told["waiting_to_be_hashed"]) == (1, 1)
    assert {folder["type"] for folder in told["folders"]} == {"checkpoint", "lora"}


def test_nobody_without_a_key_has_the_folders_scanned(client):
    for path in ("models/scan", "models/scan/stop"):
        assert send_json(client, "POST", f"/api/v1/{path}", {}).status_code == 401


def test_a_long_list_takes_few_questions_to_the_database(checkpoints, scan, call):
    for number in range(30):
        put(checkpoints / f"{number}.safetensors")
    scan()
    call("models")

    with CaptureQueriesContext(connection) as queries:
        assert call("models").json()["count"] == 30

    assert len(queries) <= 8, [query["sql"] for query in queries]


# --- small versions of previews --------------------------------------------------------------


def test_previews_get_small_versions_and_new_ones_when_they_change(
    checkpoints, scan, settings, tmp_path
):
    settings.DATA_DIR = tmp_path / "data"
    covers = json.dumps([base64.b64encode(png("green", (900, 900))).decode()])
    put(checkpoints / "a.safetensors", safetensors(metadata={"ssmd_cover_images": covers}))
    picture = put(checkpoints / "a.png", png("red", (1000, 500)))
    put(checkpoints / "bad.safetensors")
    put(checkpoints / "bad.png", png()[:40])
    scan()
    assert preview(size="small")[1] == "image/png"

    assert preview_thumbnails.make_due() == 2

    assert not preview_thumbnails.are_due()
    status, content_type, content = preview(size="small")
    assert (status, content_type) == (200, "image/webp")
    assert Picture.open(io.BytesIO(content)).size == (256, 128)
    assert Picture.open(io.BytesIO(preview(index=1, size="large")[2])).size == (768, 768)
    assert preview("bad.safetensors", size="small")[:2] == (200, "image/png")
    put(picture, png("blue", (500, 1000)))
    scan()
    preview_thumbnails.make_due()
    assert Picture.open(io.BytesIO(preview(size="small")[2])).size == (128, 256)


def test_an_unknown_size_is_refused(checkpoints, scan):
    put(checkpoints / "a.safetensors")
    scan()

    assert preview(size="huge")[0] == 400
