"""The decision table of checkpoint names, against a Windows and a Linux server."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_catalog.names import (
    CheckpointAmbiguous,
    CheckpointNameError,
    CheckpointNotFound,
    NameRejected,
    is_no_override,
    match,
    name_of,
    normalized,
)

SHA256 = "9f90c59f3a" + "ab" * 27
V8 = "Pony/cyberrealisticPony_v8.safetensors"
SDXL_BASE = "sd_xl_base_1.0.safetensors"


@dataclass(frozen=True)
class Entry:
    title: str
    model_name: str
    filename: str
    hash: str | None = None
    sha256: str | None = None


def entry(path: str, *, windows: bool, sha256: str | None = None) -> Entry:
    separator = "\\" if windows else "/"
    root = "D:\\forge\\models\\Stable-diffusion\\" if windows else "/srv/models/Stable-diffusion/"
    name = path.replace("/", separator)
    short = sha256[:10] if sha256 else None
    return Entry(
        title=f"{name} [{short}]" if short else name,
        model_name=path.rsplit(".", 1)[0].replace("/", "_"),
        filename=root + name,
        hash=short,
        sha256=sha256,
    )


def server(*, windows: bool) -> list[Entry]:
    return [
        entry(V8, windows=windows, sha256=SHA256),
        entry("Pony/cyberrealisticPony_v85.safetensors", windows=windows),
        entry(SDXL_BASE, windows=windows, sha256="1234567890" + "cd" * 27),
        entry("SDXL/model.safetensors", windows=windows),
        entry("Pony/model.safetensors", windows=windows),
    ]


@pytest.fixture(params=[True, False], ids=["windows", "linux"])
def listing(request) -> list[Entry]:
    return server(windows=request.param)


def slashed(found: Entry) -> str:
    return name_of(found).replace("\\", "/")


@pytest.mark.parametrize(
    ("wanted", "expected", "matched_by"),
    [
        ("Pony\\cyberrealisticPony_v8.safetensors [9f90c59f3a]", V8, {"title", "path"}),
        ("Pony\\cyberrealisticPony_v8.safetensors", V8, {"name", "path"}),
        ("Pony/cyberrealisticPony_v8.safetensors", V8, {"name", "path"}),
        ("Pony/cyberrealisticPony_v8.safetensors [9f90c59f3a]", V8, {"title", "path"}),
        ("cyberrealisticPony_v8", V8, {"stem"}),
        ("cyberrealisticPony_v8.safetensors", V8, {"basename"}),
        ("cyberrealisticPony_v8 [9f90c59f3a]", V8, {"hash"}),
        ("cyberrealisticPony_v8.safetensors [9f90c59f3a]", V8, {"hash"}),
        ("9f90c59f3a", V8, {"hash"}),
        ("9F90C59F3A", V8, {"hash"}),
        (SHA256, V8, {"hash"}),
        ("Pony_cyberrealisticPony_v8", V8, {"model_name"}),
        ("Pony\\cyberrealisticPony_v8", V8, {"path_without_extension"}),
        ("pony\\CyberRealisticPony_V8.safetensors", V8, {"path"}),
        (
            "D:\\forge\\models\\Stable-diffusion\\Pony\\cyberrealisticPony_v8.safetensors",
            V8,
            {"filename", "path"},
        ),
        (
            "/mnt/user/models/Stable-diffusion/Pony/cyberrealisticPony_v8.safetensors",
            V8,
            {"path"},
        ),
        ("models/Stable-diffusion/Pony/cyberrealisticPony_v8.safetensors", V8, {"path"}),
        ("models/Pony/cyberrealisticPony_v8.safetensors", V8, {"path"}),
        ("/Pony/cyberrealisticPony_v8.safetensors", V8, {"path"}),
        ("./Pony/cyberrealisticPony_v8.safetensors", V8, {"path"}),
        ("Pony//./cyberrealisticPony_v8.safetensors", V8, {"path"}),
        (" Pony/cyberrealisticPony_v8.safetensors ", V8, {"name", "path"}),
        ('"Pony/cyberrealisticPony_v8.safetensors"', V8, {"name", "path"}),
        ("renamed.safetensors [9f90c59f3a]", V8, {"hash"}),
        ("SDXL/model.safetensors", "SDXL/model.safetensors", {"title", "path"}),
        ("sd_xl_base_1.0", SDXL_BASE, {"path_without_extension"}),
        ("Flux/cyberrealisticPony_v8.safetensors", V8, {"basename"}),
        ("Flux/cyberrealisticPony_v8", V8, {"basename"}),
    ],
)
def test_a_name_leads_to_the_checkpoint_it_means(listing, wanted, expected, matched_by):
    found = match(wanted, listing)

    assert slashed(found.listed) == expected
    assert found.matched_by in matched_by
    assert found.warning is None


@pytest.mark.parametrize(
    "wanted",
    [
        "cyberrealisticPony_v8.ckpt",
        "nope.safetensors",
        "cyberrealisticPony",
        "0f1e2d3c",
        "/",
        "models/Stable-diffusion/",
        "Pony%2Fmodel.safetensors",
    ],
)
def test_a_name_that_is_not_on_the_list_is_not_found(listing, wanted):
    with pytest.raises(CheckpointNotFound) as refusal:
        match(wanted, listing)

    assert refusal.value.code == "CHECKPOINT_NOT_FOUND"
    assert wanted in str(refusal.value)


@pytest.mark.parametrize("wanted", ["model", "model.safetensors", "Flux/model.safetensors"])
def test_a_name_of_two_checkpoints_is_ambiguous_and_names_both(listing, wanted):
    with pytest.raises(CheckpointAmbiguous) as refusal:
        match(wanted, listing)

    assert refusal.value.code == "CHECKPOINT_AMBIGUOUS"
    assert {name.replace("\\", "/") for name in refusal.value.candidates} == {
        "SDXL/model.safetensors",
        "Pony/model.safetensors",
    }
    assert all(name in str(refusal.value) for name in refusal.value.candidates)


@pytest.mark.parametrize(
    "wanted",
    ["../../etc/x.safetensors", "Pony\\..\\x", "..", "D:\\..\\x", "x" * 1025, "a\0b", "a\nb"],
)
def test_a_name_that_can_be_none_is_rejected(listing, wanted):
    with pytest.raises(NameRejected) as refusal:
        match(wanted, listing)

    assert refusal.value.code == "CHECKPOINT_NAME_INVALID"
    assert len(str(refusal.value)) < 250


@pytest.mark.parametrize("name", [None, "", "  ", "None", "none", ' "None" ', '""'])
def test_no_name_asks_for_no_checkpoint(name):
    assert is_no_override(name)


@pytest.mark.parametrize("name", ["x", "None.safetensors", "NONE of these"])
def test_a_real_name_asks_for_its_checkpoint(name):
    assert not is_no_override(name)


def test_a_path_with_another_hash_matches_with_a_warning(listing):
    found = match("Pony/cyberrealisticPony_v8.safetensors [aaaaaaaaaa]", listing)

    assert slashed(found.listed) == V8
    assert found.warning == "hash_mismatch"


def test_a_path_with_a_hash_the_server_does_not_know_yet_matches_without_a_warning(listing):
    found = match("Pony/cyberrealisticPony_v85.safetensors [aaaaaaaaaa]", listing)

    assert found.warning is None


def test_a_hash_singles_out_one_of_two_checkpoints_of_the_same_name():
    twins = [
        entry("a/x.safetensors", windows=False, sha256="1" * 64),
        entry("a/x.ckpt", windows=False, sha256="2" * 64),
    ]

    assert name_of(match("a/x [2222222222]", twins).listed) == "a/x.ckpt"


def test_case_decides_between_two_names_that_differ_in_it_only():
    listing = [entry("Model.ckpt", windows=False), entry("model.ckpt", windows=False)]

    assert name_of(match("model.ckpt", listing).listed) == "model.ckpt"
    with pytest.raises(CheckpointAmbiguous):
        match("MODEL.ckpt", listing)


def test_a_folder_of_the_server_called_models_is_kept():
    listing = [entry("models/x.ckpt", windows=True), entry("x.ckpt", windows=True)]

    assert slashed(match("models/x.ckpt", listing).listed) == "models/x.ckpt"


def test_brackets_that_look_like_a_hash_may_belong_to_the_file():
    listing = [entry("style [deadbeef].ckpt", windows=False)]

    assert match("style [deadbeef]", listing).matched_by == "path_without_extension"


def test_a_file_name_may_hold_two_dots(listing):
    dotted = [*listing, entry("Pony/a..b.ckpt", windows=False)]

    assert slashed(match("a..b", dotted).listed) == "Pony/a..b.ckpt"


def test_an_absolute_path_of_linux_is_compared_with_its_case():
    listing = [
        Entry("x.ckpt", "x", "/srv/One/x.ckpt"),
        Entry("y/x.ckpt", "y_x", "/srv/one/x.ckpt"),
    ]

    assert match("/srv/one/x.ckpt", listing).listed is listing[1]


def test_what_is_not_found_comes_with_at_most_three_names_that_look_alike(listing):
    with pytest.raises(CheckpointNotFound) as refusal:
        match("cyberrealisticPony_v9.safetensors", listing)

    assert 0 < len(refusal.value.suggestions) <= 3
    assert refusal.value.suggestions[0] in str(refusal.value)


def test_many_candidates_are_counted_instead_of_listed():
    listing = [entry(f"{folder}/x.ckpt", windows=False) for folder in range(50)]

    with pytest.raises(CheckpointAmbiguous, match="or one of 45 more"):
        match("x", listing)


def test_the_normalized_form_has_the_servers_slashes():
    wanted = "models/Pony/cyberrealisticPony_v8"

    assert normalized(wanted, server(windows=True)) == "Pony\\cyberrealisticPony_v8.safetensors"
    assert normalized(wanted, server(windows=False)) == "Pony/cyberrealisticPony_v8.safetensors"
    assert normalized("a/nope.ckpt", server(windows=True)) == "a\\nope.ckpt"
    assert normalized("a\\nope.ckpt [0000000000]", server(windows=False)) == "a/nope.ckpt"


def test_a_server_of_windows_is_known_by_its_drive_letters_alone():
    flat = [Entry("x.ckpt", "x", "C:\\sd\\x.ckpt")]

    assert normalized("a/nope.ckpt", flat) == "a\\nope.ckpt"


@given(st.text(max_size=60))
def test_any_text_is_matched_or_refused(wanted):
    listing = server(windows=True)

    with contextlib.suppress(CheckpointNameError):
        assert match(wanted, listing).listed in listing


_PART = st.text("abcXYZ019 ._-()[]", min_size=1, max_size=12).filter(
    lambda part: part == part.strip() and part.strip(".")
)


@given(folder=_PART, stem=_PART, windows=st.booleans())
def test_every_way_to_write_a_listed_path_leads_back_to_it(folder, stem, windows):
    listed = entry(f"{folder}/{stem}.safetensors", windows=windows, sha256=SHA256)
    listing = [*server(windows=windows)[1:], listed]
    name = name_of(listed)

    for way in (name, listed.title, listed.filename, f"/{name}", f"./{name}", f'"{name}"'):
        assert match(way, listing).listed is listed
        assert match(way.replace("\\", "/"), listing).listed is listed
