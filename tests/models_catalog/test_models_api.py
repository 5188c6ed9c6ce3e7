"""Model files and what clients may ask about them; Civitai's routes, as far as they go."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from servers.simulator import ForgeSimulator, ModelFile
from tests.callers import EXTENSION_ORIGIN, FOREIGN_ORIGIN, send_json
from tests.models_catalog.conftest import hang, server_at
from tests.servers.stand_in import answer_json

V8 = "Pony/cyberrealisticPony_v8.safetensors"
MODEL_FIELDS = {
    *("filename", "relativePath", "created", "modified", "size", "type", "baseModel"),
    *("preview_url", "civitai_url", "civitai_id", "description", "tags"),
    *("id", "servers", "has_preview", "hash", "sha256", "condition", "base_model_source"),
}
INFO_FIELDS = {
    *("filename", "relativePath", "created", "modified", "size", "type", "baseModel"),
    *("civitai_id", "model_version_id", "civitai_name", "description", "preview_images"),
    *("tags", "downloads", "favorited", "rating", "trigger_words", "metadata_source"),
}


@pytest.fixture
def laptop(db, linux):
    return server_at("Laptop", linux.port)


def code_of(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["details"]["code"]


# --- /models ---------------------------------------------------------------------------------


def test_checkpoints_and_loras_are_listed_with_all_fields(call, laptop, windows):
    server_at("Attic", windows.port)

    answer = call("models").json()

    assert (answer["success"], answer["count"], len(answer["models"])) == (True, 7, 7)
    assert all(set(model) == MODEL_FIELDS for model in answer["models"])
    assert {model["type"] for model in answer["models"]} == {"checkpoint", "lora"}
    assert {tuple(model["servers"]) for model in answer["models"]} == {("Attic", "Laptop")}


def test_the_folder_is_below_the_folder_of_its_type(call, laptop):
    models = call("models").json()["models"]

    folders = {model["filename"]: model["relativePath"] for model in models}
    assert folders["sd_xl_base_1.0.safetensors"] == "/"
    assert folders["cyberrealisticPony_v8.safetensors"] == "Pony"
    assert folders["ink_v1.safetensors"] == "styles"
    assert folders["fakestyle_v1.safetensors"] == "/"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"type": "checkpoint"}, 5),
        ({"type": "lora"}, 2),
        ({"type": "", "baseModel": ""}, 7),
        ({"baseModel": "Flux.1 D"}, 0),
    ],
)
def test_models_are_filtered(call, laptop, query, count):
    assert call("models", **query).json()["count"] == count


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"type": "vae"}, "type"),
        ({"type": "a\0"}, "type"),
        ({"baseModel": "x" * 101}, "baseModel"),
        ({"baseModel": "a\0"}, "baseModel"),
    ],
)
def test_a_bad_filter_is_named(call, laptop, query, field):
    answer = call("models", **query)

    assert answer.status_code == 400
    assert field in answer.json()["details"]["fields"]


@pytest.mark.usefixtures("impatient")
def test_a_server_that_gives_only_one_list_is_named_and_its_list_shown(call, forge, windows):
    hang(forge, "/sdapi/v1/loras")
    forge.routes["/sdapi/v1/sd-models"] = answer_json(windows.engine.catalogue.sd_models())
    server_at("Attic", forge.port)

    answer = call("models").json()

    assert answer["count"] == 5
    assert [(s["alias"], s["ok"]) for s in answer["servers"]] == [("Attic", False)]


# --- /models/<id>/info -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "model_id",
    [
        "cyberrealisticPony_v8.safetensors",
        V8,
        quote(V8, safe=""),
        quote(V8.replace("/", "\\"), safe=""),
    ],
)
def test_a_model_is_found_by_name_and_by_path(call, laptop, model_id):
    answer = call(f"models/{model_id}/info")

    assert answer.status_code == 200
    model = answer.json()["model"]
    assert set(model) >= INFO_FIELDS
    assert (model["relativePath"], model["filename"]) == ("Pony", V8.partition("/")[2])
    assert (model["created"], model["preview_images"]) == (None, [])


def test_a_model_at_the_root_is_found_by_its_shown_folder_and_name(call, laptop):
    model_id = quote("/" + "/" + "sd_xl_base_1.0.safetensors", safe="")

    assert call(f"models/{model_id}/info").status_code == 200


def test_a_model_is_found_by_its_id_on_any_server(call, laptop, windows):
    models = call("models").json()["models"]
    server_at("Attic", windows.port)

    for model in models:
        found = call(f"models/{model['id']}/info", type=model["type"]).json()["model"]
        assert (found["filename"], found["id"]) == (model["filename"], model["id"])


def test_a_lora_is_found_only_as_a_lora(call, laptop):
    assert call("models/ink_v1.safetensors/info", type="lora").status_code == 200
    assert code_of(call("models/ink_v1.safetensors/info")) == (404, "MODEL_NOT_FOUND")
    assert call("models/ink_v1.safetensors/info", type="vae").status_code == 400


def test_a_name_in_two_folders_is_ambiguous_and_names_both(call, laptop):
    answer = call("models/model.safetensors/info")

    assert code_of(answer) == (409, "MODEL_AMBIGUOUS")
    assert "Pony/model.safetensors" in answer.json()["message"]
    assert "SDXL/model.safetensors" in answer.json()["message"]


def test_different_files_of_one_path_are_told_apart_by_id(call, laptop):
    with ForgeSimulator([ModelFile(V8, sha256="ff" * 32, hashed=True)]) as simulator:
        server_at("Attic", simulator.port)
        models = call("models", type="checkpoint").json()["models"]
        refused = call(f"models/{V8}/info")

        twins = [model for model in models if model["filename"] == V8.partition("/")[2]]
        found = call(f"models/{twins[0]['id']}/info").json()["model"]

    assert code_of(refused) == (409, "MODEL_AMBIGUOUS")
    assert twins[0]["id"] != twins[1]["id"]
    assert found["hash"] == twins[0]["hash"]


def test_a_server_that_may_have_the_model_is_named(call, laptop, closed_port):
    server_at("Attic", closed_port)

    answer = call("models/nope.safetensors/info")

    assert code_of(answer) == (404, "MODEL_NOT_FOUND")
    assert answer.json()["message"].endswith("No answer came from 'Attic'.")


@pytest.mark.parametrize(
    "model_id",
    [
        "..%2f..%2fetc%2fpasswd",
        "../../etc/passwd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%252f..%252fetc%252fpasswd",
        "..%5c..%5cetc%5cpasswd",
        "%c0%ae%c0%ae%c0%afetc%c0%afpasswd",
        "Pony%00",
        f"Pony/../{V8}",
        "//etc/passwd",
        "%2fetc%2fpasswd",
        "C:%5cWindows%5cwin.ini",
        "home/user/forge/models/Stable-diffusion/sd_xl_base_1.0.safetensors",
        "x" * 4000,
        "%F0%9F%92%A9",
        "-1",
        "99999999999999999999",
    ],
)
@pytest.mark.parametrize("what", ["info", "preview"])
def test_an_id_that_is_no_known_name_is_not_found(call, laptop, model_id, what):
    answer = call(f"models/{model_id}/{what}")

    assert code_of(answer) == (404, "MODEL_NOT_FOUND")
    assert len(answer.json()["message"]) < 300


# --- /models/<id>/preview --------------------------------------------------------------------


@pytest.mark.parametrize("query", [{}, {"index": "99999999999"}, {"type": "checkpoint"}])
def test_servers_list_no_previews(call, laptop, query):
    answer = call(f"models/{V8}/preview", **query)

    assert code_of(answer) == (404, "MODEL_PREVIEW_NOT_FOUND")


@pytest.mark.parametrize("index", ["-1", "1e9", "NaN", "1.5", "0x1", "9" * 2000])
def test_an_index_that_is_no_whole_number_is_refused(call, laptop, index):
    answer = call(f"models/{V8}/preview", index=index)

    assert answer.status_code == 400
    assert list(answer.json()["details"]["fields"]) == ["index"]


def test_pages_that_may_show_pictures_may_ask_for_previews(client, laptop):
    path = f"/api/v1/models/{V8}/preview"

    assert client.get(path, headers={"Origin": EXTENSION_ORIGIN}).status_code == 404
    assert client.get(path, headers={"Origin": FOREIGN_ORIGIN}).status_code == 403


# --- what needs Civitai ----------------------------------------------------------------------


def test_metadata_of_a_known_model_cannot_be_refreshed_yet(call, laptop):
    answer = call(f"models/{V8}/refresh-metadata", {})

    assert code_of(answer) == (503, "NOT_AVAILABLE_YET")
    assert "cannot fetch what Civitai knows" in answer.json()["message"]
    assert code_of(call("models/nope/refresh-metadata", {})) == (404, "MODEL_NOT_FOUND")
    assert call(f"models/{V8}/refresh-metadata").status_code == 405


@pytest.mark.parametrize(
    "named",
    [
        {"imageId": "7654321"},
        {"imageId": "https://civitai.com/images/7654321"},
        {"civitaiImageId": "7654321"},
        {"url": "https://civitai.com/images/7654321?period=Week"},
        {"imageId": "7654321", "url": "https://CIVITAI.com/images/7654321/"},
    ],
)
def test_an_image_named_well_is_understood_in_either_way(call, named):
    for answer in (call("civitai/image-info", **named), call("civitai/image-info", named)):
        assert code_of(answer) == (503, "NOT_AVAILABLE_YET")
        assert "image 7654321" in answer.json()["message"]


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ({}, "imageId"),
        ({"imageId": "abc"}, "imageId"),
        ({"imageId": "-1"}, "imageId"),
        ({"imageId": "9" * 16}, "imageId"),
        ({"url": "https://civitai.com/models/1"}, "url"),
        ({"url": "http://civitai.com/images/1"}, "url"),
        ({"imageId": "1", "url": "https://civitai.com/images/2"}, "url"),
    ],
)
def test_an_image_named_badly_is_refused(call, named, field):
    for answer in (call("civitai/image-info", **named), call("civitai/image-info", named)):
        assert code_of(answer) == (400, "VALIDATION_FAILED")
        assert list(answer.json()["details"]["fields"]) == [field]


@pytest.mark.parametrize(
    "body",
    [
        {"modelVersionId": 456, "type": "lora"},
        {"civitaiModelVersionId": "456", "targetType": "LORA"},
        {"url": "https://civitai.com/models/123", "type": "checkpoint"},
        {"url": "https://civitai.com/models/123/a-name?modelVersionId=456", "type": "lora"},
        {"url": "https://civitai.com/api/download/models/456?type=Model", "type": "lora"},
        {"url": "https://civitai.com/model-versions/456", "type": "lora"},
    ],
)
def test_a_download_named_well_is_understood(call, body):
    assert code_of(call("civitai/download-model", body)) == (503, "NOT_AVAILABLE_YET")


@pytest.mark.parametrize(
    "url",
    [
        "http://civitai.com/models/1",
        "http://192.168.1.1/",
        "file:///etc/passwd",
        "ftp://civitai.com/models/1",
        "https://civitai.com.evil.io/models/1",
        "https://evil.io/civitai.com/models/1",
        "https://civitai.com@evil.io/models/1",
        "https://me:pw@civitai.com/models/1",
        "https://civitai.com:8080/models/1",
        "https://civitai.com\\@evil.io/models/1",
        "https://civitái.com/models/1",
        "https://xn--civiti-mta.com/models/1",
        "https://civitai.com/models/1\n.evil.io",
        "https://[::1/models/1",
        "//civitai.com/models/1",
        "https://civitai.com/models/../../etc",
        "https://civitai.com/models/1e9",
        "https://civitai.com/models/" + "1" * 3000,
        "",
        7,
    ],
)
def test_a_download_from_elsewhere_is_refused(call, url):
    answer = call("civitai/download-model", {"url": url, "type": "lora"})

    assert code_of(answer) == (400, "VALIDATION_FAILED")
    assert list(answer.json()["details"]["fields"]) == ["url"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"modelVersionId", "type"}),
        ({"modelVersionId": 456}, {"type"}),
        ({"type": "lora"}, {"modelVersionId"}),
        ({"modelVersionId": 0, "type": "lora"}, {"modelVersionId"}),
        ({"modelVersionId": 2**60, "type": "lora"}, {"modelVersionId"}),
        ({"modelVersionId": 1, "type": "vae"}, {"type"}),
        ({"modelVersionId": 1, "type": ["lora"]}, {"type"}),
        ([], {"body"}),
    ],
)
def test_a_download_named_badly_is_refused(call, body, fields):
    answer = call("civitai/download-model", body)

    assert code_of(answer) == (400, "VALIDATION_FAILED")
    assert set(answer.json()["details"]["fields"]) == fields


@pytest.mark.django_db
def test_nobody_without_a_key_orders_downloads(client):
    for path in ("civitai/download-model", "civitai/image-info", f"models/{V8}/refresh-metadata"):
        assert send_json(client, "POST", f"/api/v1/{path}", {}).status_code == 401
