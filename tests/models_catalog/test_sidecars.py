"""Sidecars in all their forms, and Civitai's own answers of all years."""

from __future__ import annotations

import json

import pytest

from models_catalog import sidecars
from models_catalog.base_models import BaseModel
from models_catalog.sidecars import Facts, of_model, of_version
from tests.models_catalog.civitai_samples import sample

ENDINGS = {
    "civitai_info": ".civitai.info",
    "metadata_json": ".metadata.json",
    "json": ".json",
    "api_info": ".api_info.json",
    "civitai_json": ".civitai.json",
    "cm_info": ".cm-info.json",
    "swarm": ".swarm.json",
    "description": ".description.txt",
    "txt": ".txt",
}


def read(**contents):
    """Read the sidecars of one file."""
    return sidecars.read(
        {
            ENDINGS[name]: value if isinstance(value, bytes) else json.dumps(value).encode()
            for name, value in contents.items()
        }
    )


def test_all_forms_are_tried_here():
    assert {form for form, _, _ in sidecars.FORMS} == set(ENDINGS.values())


# --- Civitai's own words ---------------------------------------------------------------------


def test_a_version_of_2026_is_read():
    facts = of_version(sample("model-version-2026"))

    assert (facts.model_id, facts.version_id) == (827184, 2514310)
    assert (facts.civitai_name, facts.version_name) == ("WAI-illustrious-SDXL", "v16.0")
    assert facts.base_model == BaseModel("Illustrious", "civitai")
    assert (facts.downloads, facts.favorited, facts.rating) == (215627, 13828, None)
    assert facts.sha256 == "a5f58eb1c33616c4f06bca55af39876a7b817913cd829caa8acb111b770c85cc"


def test_a_version_of_2023_is_read():
    facts = of_version(sample("model-version-2023-legacy"))

    assert facts.trigger_words == ("ttdddd",)
    assert facts.base_model == BaseModel("SD 1.5", "civitai")
    assert (facts.downloads, facts.favorited, facts.rating) == (438, None, 5.0)


def test_an_answer_by_hash_is_read_and_its_description_is_plain():
    facts = of_version(sample("by-hash-hit"))

    assert facts.trigger_words == ("aesthetic_pos3", "dynamic_pos3")
    assert facts.base_model == BaseModel("Flux.1 D", "civitai")
    assert facts.favorited == 355
    assert facts.description.startswith("New Triggers:\naesthetic_pos3")
    assert "<" not in facts.description


def test_the_primary_file_counts_wherever_it_stands():
    facts = of_version(sample("model-version-multifile-primary-not-first"))

    assert facts.sha256 == "11" * 32


@pytest.mark.parametrize(
    ("name", "version_id", "expected"),
    [
        ("model-2025-lora", None, (1580878, None)),
        ("model-2026-checkpoint", 2514310, (827184, 2514310)),
        ("model-2026-checkpoint", None, (827184, 2514310)),
    ],
)
def test_a_model_is_read_and_its_version_only_if_it_is_certain(name, version_id, expected):
    facts = of_model(sample(name), version_id)

    assert (facts.model_id, facts.version_id) == expected
    assert facts.tags


def test_the_statistics_of_a_model_of_2026_are_read():
    facts = of_model(sample("model-2026-checkpoint"))

    assert (facts.downloads, facts.favorited) == (1272529, 79272)
    assert facts.description == "Example description with HTML."


@pytest.mark.parametrize(
    "name",
    [
        *("models-search-page", "models-search-empty", "by-hash-404", "model-404", "by-hash-ids"),
        *("model-version-404-missing-file", "images-page-flat-meta", "images-by-id-nested-meta"),
        *("images-by-id-without-withMeta", "images-a1111-meta", "images-empty", "enums"),
        *("api-401", "list-429-too-many-pages", "search-503", "download-307-exchange"),
    ],
)
def test_what_is_no_version_tells_nothing_and_breaks_nothing(name):
    assert read(civitai_info=sample(name)).version_id is None


# --- what stands beside a file ---------------------------------------------------------------


def test_the_users_own_words_are_read():
    facts = read(
        json={
            "description": "  mine ",
            "sd version": "SDXL",
            "activation text": "<lora:ink:1>, ink style, brush, ink style",
            "preferred weight": 0.8,
            "notes": "from a friend",
        }
    )

    assert facts.trigger_words == ("ink style", "brush")
    assert (facts.description, facts.notes) == ("mine", "from a friend")
    assert facts.base_model == BaseModel("SDXL 1.0", "sd_version")
    assert facts.source == "json"


def test_groups_of_activation_words_keep_their_commas():
    facts = read(json={"activation text": "a cat, sitting || a dog"})

    assert facts.trigger_words == ("a cat, sitting", "a dog")


def test_ids_are_numbers_or_digits_and_words_for_unknown_are_none():
    assert read(json={"modelId": "12", "modelVersionId": 34}).version_id == 34
    assert read(json={"modelId": "12"}).model_id == 12
    assert read(json={"model": {"id": 7}}).model_id == 7
    for nothing in ("Model not found", "", -1, 0, True, 1.5, None, "1e9", "9" * 30, [1]):
        assert read(json={"modelId": nothing, "modelVersionId": nothing}) == Facts()


def test_both_forms_of_the_first_stablequeue_are_read():
    download = {"modelId": "1", "modelVersionId": "2", "fileName": "x", "sizeKB": 1, "type": "LORA"}
    looked_up = {"modelId": "1", "name": "v1", "baseModel": "Pony", "trainedWords": ["a"]}

    assert read(civitai_json=download).version_id == 2
    facts = read(civitai_json=looked_up)
    assert (facts.base_model, facts.trigger_words) == (BaseModel("Pony", "sidecar"), ("a",))
    assert facts.source == "civitai_json"


def test_the_forms_of_other_programs_are_read():
    version = sample("model-version-2026")
    lora_manager = {"sha256": "AB" * 32, "civitai": version, "base_model": "Other", "notes": "n"}
    matrix = {"ModelId": 5, "VersionId": 6, "BaseModel": "Pony", "TrainedWords": ["w"]}
    swarm = {"modelspec.title": "T", "modelspec.trigger_phrase": "one, two"}

    facts = read(metadata_json=lora_manager)
    assert (facts.version_id, facts.sha256) == (2514310, "ab" * 32)
    assert facts.base_model == BaseModel("Illustrious", "civitai")
    assert read(cm_info=matrix).base_model == BaseModel("Pony", "sidecar")
    assert read(swarm=swarm).trigger_words == ("one", "two")
    assert read(api_info=sample("model-2026-checkpoint")).civitai_name
    assert read(description=b"by hand").description == "by hand"
    assert read(txt=b"\xff\xfe").source == "text"


def test_of_several_sidecars_each_tells_what_the_better_ones_do_not():
    facts = read(
        civitai_info=sample("model-version-2026"),
        json={"notes": "mine", "description": "my words", "baseModel": "SDXL 1.0"},
        txt=b"other words",
    )

    assert (facts.notes, facts.description) == ("mine", "my words")
    assert facts.base_model == BaseModel("Illustrious", "civitai")
    assert facts.source == "civitai_api"


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{}", b"[]", b"null", b"7", b'"text"', b"\xff\xfe", b"{", b"[" * 100_000),
        *(b'{"modelId": NaN}', b'{"a":' * 50_000, b"<html>"),
    ],
)
@pytest.mark.parametrize("form", ["civitai_info", "json", "metadata_json", "api_info"])
def test_a_sidecar_that_is_no_object_tells_nothing(form, content):
    assert read(**{form: content}) == Facts()


@pytest.mark.parametrize("odd", [None, 1, "text", [], {}, [[]], [{}], {"a": 1}, True, -1e308])
def test_any_value_may_be_of_any_type(odd):
    names = [
        *("id", "modelId", "model", "name", "description", "trainedWords", "stats", "files"),
        *("baseModel", "tags", "civitai", "sha256", "modelVersions", "sd version", "notes"),
        *("activation text", "Hashes", "trigger_phrase", "ModelId", "modelVersionId"),
    ]
    told = json.dumps(dict.fromkeys(names, odd)).encode()

    for form, reader, _ in sidecars.FORMS:
        assert isinstance(reader(told), Facts), form


def test_texts_are_such_as_the_database_takes():
    told = b'{"notes": "a\\u0000b\\ud800c", "trainedWords": ["\\ud800"], "baseModel": "x\\u0000"}'

    facts = read(json=told)

    assert facts.notes == "ab?c"
    assert facts.trigger_words == ("?",)
    assert facts.base_model == BaseModel("x", "sidecar")


def test_with_a_byte_order_mark_it_is_read_as_well():
    assert read(json=b'\xef\xbb\xbf{"notes": "n"}').notes == "n"
