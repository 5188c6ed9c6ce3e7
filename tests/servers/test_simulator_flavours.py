"""The simulated relatives of Forge: what their sources say they do otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from servers.simulator import ForgeSimulator

HIRES = {"enable_hr": True, "hr_scale": 2.0, "denoising_strength": 0.5}


def forge_of(flavour: Any, **more: Any) -> ForgeSimulator:
    return ForgeSimulator(seconds=0.0, load_seconds=0.0, flavour=flavour, **more)


def draw(forge: ForgeSimulator, **wanted: Any) -> requests.Response:
    body = {"prompt": "a cat", "width": 64, "height": 64, "steps": 2, "seed": 1, **wanted}
    return requests.post(f"{forge.url}/sdapi/v1/txt2img", json=body, timeout=10)


def status(forge: ForgeSimulator, path: str) -> int:
    return requests.get(forge.url + path, timeout=5).status_code


@pytest.mark.parametrize(
    ("flavour", "modules", "vae"), [("forge", 200, 404), ("neo", 200, 404), ("a1111", 404, 200)]
)
def test_list_of_vaes_has_another_name_in_a1111(flavour: str, modules: int, vae: int) -> None:
    with forge_of(flavour) as forge:
        found = [status(forge, f"/sdapi/v1/{name}") for name in ("sd-modules", "sd-vae")]

    assert found == [modules, vae]


@pytest.mark.parametrize(("flavour", "outcome"), [("forge", 500), ("neo", 500), ("a1111", 200)])
def test_hires_fix_without_modules_fails_where_modules_exist(flavour: str, outcome: int) -> None:
    with forge_of(flavour) as forge:
        answer = draw(forge, **HIRES)

    assert answer.status_code == outcome


def test_a1111_passes_over_the_fields_it_does_not_know() -> None:
    with forge_of("a1111") as forge:
        answer = draw(forge, **HIRES, hr_additional_modules=["Use same choices"], hr_cfg=3.0)

    info = json.loads(answer.json()["info"])
    assert "hr_additional_modules" not in answer.json()["parameters"]
    assert "Hires Module 1" not in info["infotexts"][0]
    assert info["version"] == "v1.10.1"


@pytest.mark.parametrize(("flavour", "field"), [("forge", "message"), ("a1111", "errors")])
def test_text_of_an_error_stands_in_another_field(flavour: str, field: str) -> None:
    with forge_of(flavour) as forge:
        answer = draw(forge, steps=0)

    assert answer.status_code == 500
    assert answer.json() == {
        "error": "ZeroDivisionError",
        "detail": "",
        "body": "",
        field: "integer division or modulo by zero",
    }


def test_a1111_wraps_its_refusals_and_asks_for_no_kind_of_credentials() -> None:
    with forge_of("a1111", api_auth="u:p") as forge:
        answer = requests.get(f"{forge.url}/sdapi/v1/options", timeout=5)

    assert answer.status_code == 401
    assert answer.json()["error"] == "HTTPException"
    assert answer.json()["detail"] == "Not authenticated"
    assert "WWW-Authenticate" not in answer.headers
    assert "X-Process-Time" in answer.headers


def test_page_of_a1111_has_no_queue_over_plain_http() -> None:
    with forge_of("a1111") as forge:
        config = requests.get(f"{forge.url}/config", timeout=5).json()
        joined = requests.post(f"{forge.url}/queue/join", json={"data": []}, timeout=5)

    assert config["version"] == "3.41.2"
    assert "protocol" not in config
    assert joined.status_code == 404


def test_checkpoint_of_neo_is_changed_together_with_a_preset() -> None:
    with forge_of("neo") as forge:
        body = {"data": ["Pony/tinyrandom_v1.safetensors", "sd"]}
        requests.post(f"{forge.url}/run/checkpoint_change", json=body, timeout=5)
        info = json.loads(draw(forge).json()["info"])

    assert info["sd_model_name"] == "tinyrandom_v1"


def test_dropdown_of_neo_has_an_elem_id() -> None:
    with forge_of("neo") as forge:
        config = requests.get(f"{forge.url}/config", timeout=5).json()

    props = [it["props"] for it in config["components"]]
    assert any(it.get("elem_id") == "setting_sd_model_checkpoint" for it in props)
    assert "refresh_model_list" in [it["api_name"] for it in config["dependencies"]]
