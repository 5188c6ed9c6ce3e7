"""The simulated page beyond its recordings: what it hears, how it is moved, lost and restored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from servers.simulator import ForgeSimulator
from tests.contracts.page_client import PageClient, heard_later
from tests.contracts.recordings import eventually

MODULE = "models/VAE/ae.safetensors"
BATCHES = {"txt2img_batch_count": 3, "txt2img_steps": 4}


@pytest.fixture
def forge() -> Iterator[ForgeSimulator]:
    """A Forge that has its page only."""
    with ForgeSimulator(seconds=0.0, load_seconds=0.0, api=False, modules=[MODULE]) as simulator:
        yield simulator


@pytest.fixture
def slow_forge() -> Iterator[ForgeSimulator]:
    """One whose batches take a second; tests do not wait for all of it."""
    with ForgeSimulator(seconds=1.0, load_seconds=0.0, api=False) as simulator:
        yield simulator


def output_of(messages: list[dict[str, Any]]) -> list[Any]:
    (completed,) = (it for it in messages if it["msg"] == "process_completed")
    assert completed["success"]
    return list(completed["output"]["data"])


def info_of(messages: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(json.loads(output_of(messages)[1]))


def wait_until_active(forge: ForgeSimulator, task_id: str) -> None:
    assert not eventually(
        lambda: [] if forge.engine.progress.tasks.current == task_id else ["not active"]
    )


def wait_until_drawing(forge: ForgeSimulator, task_id: str) -> None:
    """Active, and past the load: from then on it is known how many batches there are."""
    wait_until_active(forge, task_id)
    assert not eventually(lambda: [] if forge.engine.progress.state.job_count > 0 else ["early"])


# --- what the page hears -------------------------------------------------------------


@pytest.mark.parametrize(
    ("elem_id", "value", "key", "heard"),
    [
        ("txt2img_prompt", "a dog", "prompt", "a dog"),
        ("txt2img_neg_prompt", "fog", "negative_prompt", "fog"),
        ("txt2img_steps", 7, "steps", 7),
        ("txt2img_sampling", "Heun", "sampler_name", "Heun"),
        ("txt2img_cfg_scale", 3.5, "cfg_scale", 3.5),
        ("txt2img_width", 128, "width", 128),
        ("txt2img_height", 192, "height", 192),
        ("txt2img_seed", 77, "seed", 77),
        ("txt2img_batch_size", 2, "batch_size", 2),
        ("txt2img_batch_count", 2, "all_seeds", [5, 6]),
        ("txt2img_styles", ["mine"], "styles", ["mine"]),
        ("txt2img_override_settings", ["Clip skip: 2"], "clip_skip", 2),
    ],
)
def test_value_of_an_input_is_heard(
    forge: ForgeSimulator, elem_id: str, value: Any, key: str, heard: Any
) -> None:
    info = info_of(PageClient(forge).draw("task(t)", **{elem_id: value}))

    assert info[key] == heard


def test_scheduler_is_heard_and_an_unknown_one_falls_back(forge: ForgeSimulator) -> None:
    page = PageClient(forge)

    known = info_of(page.draw("task(1)", txt2img_scheduler="Karras"))
    unknown = info_of(PageClient(forge).draw("task(2)", txt2img_scheduler="No Such"))

    assert "Schedule type: Karras" in known["infotexts"][0]
    assert "Schedule type: Automatic" in unknown["infotexts"][0]


def test_hires_fix_of_the_page_needs_nothing_more(forge: ForgeSimulator) -> None:
    wanted = {"txt2img_hr-checkbox": True, "txt2img_hr_scale": 2.0}

    output = output_of(PageClient(forge).draw("task(t)", **wanted))

    assert "Hires upscale: 2.0" in output[2]
    assert "Hires Module 1: Use same choices" in output[2]


def test_variation_seed_counts_only_while_extra_is_ticked(forge: ForgeSimulator) -> None:
    wanted = {"txt2img_subseed": 9, "txt2img_subseed_strength": 0.5}

    without = info_of(PageClient(forge).draw("task(1)", **wanted))
    ticked = info_of(PageClient(forge).draw("task(2)", **wanted, txt2img_subseed_show=True))

    assert without["subseed_strength"] == 0
    assert (ticked["subseed"], ticked["subseed_strength"]) == (9, 0.5)


def test_known_module_is_told_in_the_infotext_and_an_unknown_one_is_not(
    forge: ForgeSimulator,
) -> None:
    wanted = {"txt2img_override_settings": ["VAE/TE: ['ae.safetensors', 'nosuch.safetensors']"]}

    info = info_of(PageClient(forge).draw("task(t)", **wanted))

    assert "Module 1: ae, " in info["infotexts"][0]
    assert "nosuch" not in info["infotexts"][0]


def test_broken_checkpoint_is_told_in_the_page_and_poisons_the_next_job(
    forge: ForgeSimulator,
) -> None:
    PageClient(forge).draw("task(1)")
    forge.put_model("broken.safetensors", broken=True)
    PageClient(forge).post("/run/gr_refresh_models", {"data": []})

    broken = PageClient(forge).draw("task(2)", txt2img_override_settings=["Model: broken"])
    poisoned = PageClient(forge).draw("task(3)")

    assert "ValueError: Failed to recognize model type!" in output_of(broken)[3]
    assert "has no attribute &#x27;sd_checkpoint_info&#x27;" in output_of(poisoned)[3]


# --- what moves ----------------------------------------------------------------------


def test_shifted_page_has_other_numbers_and_places(forge: ForgeSimulator) -> None:
    before = PageClient(forge)

    forge.restart(page_shift=11)

    after = PageClient(forge)
    assert after.function("txt2img")["id"] == before.function("txt2img")["id"] + 11
    assert len(after.data({})) == len(before.data({})) + 11
    assert info_of(after.draw("task(t)", txt2img_prompt="a dog"))["prompt"] == "a dog"


def test_missing_input_keeps_forges_own_value(forge: ForgeSimulator) -> None:
    forge.restart(page_without=["txt2img_sampling"])

    info = info_of(PageClient(forge).draw("task(t)"))

    assert info["sampler_name"] == "DPM++ 2M"


def test_new_checkpoint_is_offered_to_who_asks_for_a_refresh(forge: ForgeSimulator) -> None:
    forge.put_model("new.safetensors")
    page = PageClient(forge)

    offered = json.dumps(page.config)
    answer = page.post("/run/gr_refresh_models", {"data": []}).json()["data"][0]

    assert "new.safetensors" not in offered
    assert ["new.safetensors", "new.safetensors"] in answer["choices"]


# --- interrupting --------------------------------------------------------------------


def test_first_interrupt_of_several_batches_ends_after_the_present_one(
    slow_forge: ForgeSimulator,
) -> None:
    page = PageClient(slow_forge)
    page.start("task(t)", **BATCHES)
    thread, heard = heard_later(page)
    wait_until_drawing(slow_forge, "task(t)")

    said = PageClient(slow_forge).call("interrupt_function", [])
    thread.join()

    gallery = output_of(heard)[0]
    assert "log" in [it["msg"] for it in said]
    assert len(gallery) == 1
    assert "/outputs/txt2img-images/" in gallery[0]["image"]["path"]


def test_second_interrupt_ends_at_once(slow_forge: ForgeSimulator) -> None:
    slow_forge.engine.seconds = 60.0
    page = PageClient(slow_forge)
    page.start("task(t)", **BATCHES | {"txt2img_steps": 600})
    thread, heard = heard_later(page)
    wait_until_drawing(slow_forge, "task(t)")

    for _ in range(2):
        PageClient(slow_forge).call("interrupt_function", [])
    thread.join()

    (item,) = output_of(heard)[0]
    assert item["image"]["path"].startswith("/home/user/.cache/gradio/tmp")


# --- lost and restored ---------------------------------------------------------------


def test_result_of_a_lost_stream_is_restored_while_it_is_one_of_the_last_two(
    forge: ForgeSimulator,
) -> None:
    first = output_of(PageClient(forge).draw("task(1)"))
    for number in (2, 3):
        restored = output_of(PageClient(forge).call("restore_progress", ["task(1)"]))
        assert restored[:3] == first[:3]
        PageClient(forge).draw(f"task({number})")

    lost = output_of(PageClient(forge).call("restore_progress", ["task(1)"]))

    assert lost[0] == {"__type__": "update"}
    assert lost[3].startswith("Couldn't restore progress for task(1)")


def test_restoring_waits_for_a_running_job(slow_forge: ForgeSimulator) -> None:
    PageClient(slow_forge).start("task(t)")
    wait_until_active(slow_forge, "task(t)")

    gallery = output_of(PageClient(slow_forge).call("restore_progress", ["task(t)"]))[0]

    assert len(gallery) == 1


def test_broken_connection_ends_the_stream_and_not_the_drawing(forge: ForgeSimulator) -> None:
    forge.engine.seconds = 0.5
    forge.fault("close_midway")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        PageClient(forge).draw("task(t)")

    assert not eventually(
        lambda: [] if forge.journal.generations[-1].outcome == "completed" else ["goes on"]
    )


@pytest.mark.parametrize(("fault", "pictures"), [("no_images", 0), ("fewer_images", 2)])
def test_pictures_can_be_missing(forge: ForgeSimulator, fault: str, pictures: int) -> None:
    forge.fault(fault)

    gallery = output_of(PageClient(forge).draw("task(t)", txt2img_batch_size=2))[0]

    assert len(gallery) == pictures


def test_stopping_forge_ends_its_streams(slow_forge: ForgeSimulator) -> None:
    page = PageClient(slow_forge)
    page.start("task(t)")
    with page.open() as stream:
        wait_until_active(slow_forge, "task(t)")
        slow_forge.stop()

        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(stream.iter_lines())


def test_picture_of_a_windows_forge_is_fetched_by_its_address() -> None:
    with ForgeSimulator(seconds=0.0, load_seconds=0.0, api=False, windows=True) as forge:
        ((item,), *_) = output_of(PageClient(forge).draw("task(t)"))
        picture = requests.get(item["image"]["url"], timeout=5)

    assert item["image"]["path"].startswith("D:\\forge\\webui\\outputs\\txt2img-images\\")
    assert picture.content.startswith(b"\x89PNG")


# --- other starts --------------------------------------------------------------------


def control(forge: ForgeSimulator, **switches: Any) -> requests.Response:
    return requests.post(f"{forge.url}/__sim__/restart", json=switches, timeout=10)


def test_switches_are_changed_over_the_control_routes(forge: ForgeSimulator) -> None:
    answer = control(forge, api=True, gradio_auth="u:p")

    statuses = [
        requests.get(forge.url + path, timeout=5).status_code
        for path in ("/sdapi/v1/options", "/config")
    ]
    assert answer.status_code == 200
    assert statuses == [200, 401]


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        ({"apple": True}, "There is no switch 'apple'"),
        ({"api": "yes"}, "api cannot be 'yes'"),
        ({"flavour": "comfy"}, "There is no flavour 'comfy'"),
        ({"api_auth": "nobody"}, "user:password"),
        ({"startup_seconds": -1}, "startup_seconds cannot be negative"),
    ],
)
def test_impossible_switches_are_refused_with_a_sentence(
    forge: ForgeSimulator, switches: dict[str, Any], said: str
) -> None:
    answer = control(forge, **switches)

    assert answer.status_code == 400
    assert said in answer.json()["detail"]
