"""Forge's page as it was recorded: its form is filled in by name, its answers are understood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from servers.forge_errors import (
    ForgeBadReply,
    ForgeConnectionLost,
    ForgeFailed,
    ForgeNotReady,
    ForgePoisoned,
)
from servers.forge_page import Function, Page, read_page
from servers.forge_page_form import form_for
from servers.forge_page_replies import Stream, read_output, read_stream
from servers.forge_refusals import Reply
from tests.servers.recordings import ADDRESS, load

FORM = load("gradio-config-txt2img-dependency")
OVERRIDES = "txt2img_override_settings"


def config(*, shifted_by: int = 0, without: str = "", **more: Any) -> dict[str, Any]:
    """A page with the recorded form, other functions in front of it, a field taken away."""
    inputs = [entry for entry in FORM["inputs"] if entry["elem_id"] != without or not without]
    components = [
        {
            "id": entry["component_id"],
            "type": entry["type"],
            "props": {name: entry[name] for name in ("elem_id", "label", "value")},
        }
        for entry in inputs
    ]
    dependency = {
        **FORM["dependency"],
        "id": FORM["dependency"]["id"] + shifted_by,
        "inputs": [entry["component_id"] for entry in inputs],
    }
    others = [{"id": number, "api_name": f"fn_{number}", "inputs": []} for number in range(5)]
    checkpoints = {"id": 9001, "type": "dropdown", "props": {"choices": [["a", "a.ckpt"], "b"]}}
    change = {"id": 8, "api_name": "checkpoint_change", "inputs": [9001]}
    second = {**dependency, "id": 999}
    return {
        "app_id": 42,
        "components": [*components, checkpoints],
        "dependencies": [*others, change, dependency, second],
        **more,
    }


def page(**options: Any) -> Page:
    return read_page(Reply(ADDRESS, 200, json.dumps(config(**options)).encode()))


def body(**more: Any) -> dict[str, Any]:
    return {"prompt": "a cat", "steps": 4, "width": 64, "height": 64, "seed": 5, **more}


def test_the_form_is_filled_in_as_a_person_did() -> None:
    recorded = load("gradio-txt2img-ok")["join"]["request"]["body"]["data"]["by_position"]
    form = form_for(page(), body(sampler_name="Euler"))

    data = page().filled_in("task(sq0000001)", form.values)

    expected = [entry["value"] for entry in recorded]
    overrides = [entry["elem_id"] for entry in recorded].index(OVERRIDES)
    assert data[overrides] == ["Clip skip: 1"]
    assert [*data[:overrides], *data[overrides + 1 :]] == [
        *expected[:overrides],
        *expected[overrides + 1 :],
    ]
    assert form.lacking == ()


def value_of(field: str, filled: Page, sent: dict[str, Any]) -> Any:
    """What the form holds in a field of that name."""
    data = filled.filled_in("task(x)", form_for(filled, sent).values)
    names = [entry.elem_id for entry in filled.function("txt2img").inputs]
    return data[names.index(field)]


def test_numbers_and_places_may_shift() -> None:
    shifted = page(shifted_by=40, without="txt2img_styles")

    assert shifted.function("txt2img").number == FORM["dependency"]["id"] + 40
    assert value_of("txt2img_prompt", shifted, body()) == "a cat"
    assert value_of("txt2img_steps", shifted, body()) == 4


def test_a_parameter_without_a_field_is_named() -> None:
    asked = body(
        styles=["Oil"],
        alwayson_scripts={"adetailer": {}},
        override_settings={"upscaler_for_img2img": "x"},
        send_images=True,
        save_images=False,
    )

    form = form_for(page(without="txt2img_styles"), asked)

    assert set(form.lacking) == {
        "styles",
        "alwayson_scripts",
        "override_settings.upscaler_for_img2img",
    }


def test_settings_are_overridden_in_the_words_of_the_page() -> None:
    asked = body(
        override_settings={
            "sd_model_checkpoint": "Pony/tiny: v1.safetensors",
            "CLIP_stop_at_last_layers": 2,
            "forge_additional_modules": ["ae.safetensors"],
        },
        restore_faces=True,
        tiling=False,
    )

    assert value_of(OVERRIDES, page(), asked) == [
        "Model: Pony/tiny: v1.safetensors",
        "Clip skip: 2",
        "VAE/TE: ['ae.safetensors']",
        "Face restoration: True",
    ]


def test_a_refiner_and_a_variation_are_switched_on() -> None:
    asked = body(refiner_checkpoint="b", subseed=7, subseed_strength=0.5)

    assert value_of("txt2img_enable-checkbox", page(), asked) is True
    assert value_of("txt2img_subseed_show", page(), asked) is True
    assert value_of("txt2img_enable-checkbox", page(), body()) is False


def test_the_checkpoints_are_those_of_the_pages_own_field() -> None:
    assert page().checkpoints() == ("a.ckpt", "b")


@pytest.mark.parametrize(
    ("config_of_another", "error"),
    [
        ({"dependencies": []}, ForgeNotReady),
        ({"components": []}, ForgeBadReply),
        ({"components": "none"}, ForgeBadReply),
        ({"dependencies": [7]}, ForgeBadReply),
    ],
)
def test_another_page_is_told_apart(config_of_another: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        page(**config_of_another)


def test_a_form_that_begins_otherwise_is_not_sent() -> None:
    form = page().function("txt2img")
    other = Page(ADDRESS, "1", {"txt2img": Function(1, form.inputs[1:])}, saves_pictures=True)

    with pytest.raises(ForgeBadReply):
        other.filled_in("task(x)", {})


# --- what it answers -----------------------------------------------------------------


def stream_of(events: list[dict[str, Any]]) -> Reply:
    lines = "".join(f"data: {json.dumps(event['data'])}\n\n" for event in events)
    return Reply(ADDRESS, 200, lines.encode())


def output_of(name: str) -> Any:
    recording = load(name)
    event_id = recording["join"]["response"]["body"]["event_id"]
    return read_output(ADDRESS, read_stream(stream_of(recording["sse_events"]), event_id))


@pytest.mark.parametrize(
    ("name", "pictures", "first", "half_drawn"),
    [
        ("gradio-txt2img-ok", 1, 0, False),
        ("gradio-txt2img-batch2", 3, 1, False),
        ("gradio-txt2img-bad-sampler", 1, 0, False),
        ("gradio-txt2img-override-model", 1, 0, False),
        ("gradio-txt2img-override-model-name", 1, 0, False),
        ("gradio-txt2img-after-checkpoint-change", 1, 0, False),
        ("gradio-txt2img-width-70", 1, 0, False),
        ("gradio-txt2img-interrupted", 1, 0, True),
    ],
)
def test_an_output_is_read(name: str, pictures: int, first: int, half_drawn: bool) -> None:
    output = output_of(name)

    assert len(output.paths) == pictures
    assert output.info["index_of_first_image"] == first
    assert output.is_half_drawn is half_drawn


def test_an_error_of_the_run_is_raised() -> None:
    with pytest.raises(ForgeFailed, match="ZeroDivisionError: integer division or modulo by zero"):
        output_of("gradio-txt2img-steps-0")


def test_a_poisoned_forge_is_recognised_here_too() -> None:
    reason = "&#x27;NoneType&#x27; object has no attribute &#x27;sd_checkpoint_info&#x27;"
    log = f"<div class='error'>AttributeError: {reason}</div><div>...</div>"

    with pytest.raises(ForgePoisoned):
        read_output(ADDRESS, [[], "", "", log])


def test_a_form_of_the_wrong_length_is_told() -> None:
    recording = load("gradio-join-errors")
    events = recording["sse_events_of_the_first (data one short)"]
    event_id = recording["exchanges"][0]["response"]["body"]["event_id"]

    with pytest.raises(ForgeBadReply, match="did not take the form"):
        read_stream(stream_of(events), event_id)


def test_a_stream_that_ends_early_is_a_lost_connection() -> None:
    recording = load("gradio-txt2img-ok")

    with pytest.raises(ForgeConnectionLost):
        read_stream(stream_of(recording["sse_events"][:2]), "another")


def test_a_result_that_was_dropped_is_told() -> None:
    update = {"__type__": "update"}

    with pytest.raises(ForgeBadReply, match="not kept"):
        read_output(ADDRESS, [update, update, update, "Couldn't restore progress for task(x)"])


def test_a_job_waits_until_the_stream_says_that_it_starts() -> None:
    stream = Stream()
    stream.feed(b'data: {"msg": "estimation"}\n\ndata: {"msg": "process_')
    assert stream.waits

    stream.feed(b'starts"}\n\n')
    assert not stream.waits
