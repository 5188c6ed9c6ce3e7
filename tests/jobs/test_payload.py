"""What reaches Forge of what a client asked for."""

import pytest

from jobs import payload


def build(parameters, **options):
    options.setdefault("seed", 42)
    options.setdefault("read_input", lambda sha256: f"base64 of {sha256}")
    return payload.build({"positive_prompt": "a cat", **parameters}, **options)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"num_images": 3}, {"n_iter": 3}),
        ({"n_iter": 2, "batch_size": 4}, {"n_iter": 2, "batch_size": 4}),
        ({"upscaler_model": "None"}, {}),
        ({"upscaler_model": "Latent"}, {"hr_upscaler": "Latent"}),
        ({"refiner_model": "None"}, {}),
        ({"refiner_model": "x.safetensors"}, {"refiner_checkpoint": "x.safetensors"}),
        ({"style_preset": "simple", "sampling_category": "Both", "made_up": 1}, {}),
        ({"steps": None, "sampler_name": ""}, {}),
        ({"subseed": ""}, {}),
    ],
)
def test_fields_of_older_clients_reach_forge_under_its_own_names(sent, expected):
    plain = build({})

    body = build(sent)

    assert {name: value for name, value in body.items() if name not in plain} == expected


def test_the_seed_is_the_one_drawn_at_submit_even_when_it_is_zero():
    assert build({"seed": ""}, seed=0)["seed"] == 0
    assert build({"seed": -1}, seed=7)["seed"] == 7


@pytest.mark.parametrize("field", ["enable_hr", "enable_hires_fix"])
def test_hires_fix_always_names_its_modules(field):
    assert build({field: True})["hr_additional_modules"] == ["Use same choices"]
    assert "hr_additional_modules" not in build({field: False})


def test_the_checkpoint_goes_out_under_the_servers_own_name_only():
    wanted = {"override_settings": {"sd_model_checkpoint": "what/the/client/wrote"}}

    named = build(wanted, checkpoint="Pony\\x.safetensors")
    unnamed = build(wanted)

    assert named["override_settings"] == {"sd_model_checkpoint": "Pony\\x.safetensors"}
    assert "override_settings" not in unnamed


def test_settings_and_scripts_outside_the_lists_are_not_sent():
    body = build(
        {
            "override_settings": {"outdir_samples": "/etc", "CLIP_stop_at_last_layers": 2},
            "alwayson_scripts": {"ControlNet": {"args": []}, "Run Shell": {"args": ["rm"]}},
            "save_images": True,
            "force_task_id": "x",
            "script_name": "x",
        }
    )

    assert body["override_settings"] == {"CLIP_stop_at_last_layers": 2}
    assert body["alwayson_scripts"] == {"ControlNet": {"args": []}}
    assert body["save_images"] is False
    assert not {"force_task_id", "script_name"} & body.keys()


def test_a_quality_preset_counts_as_a_scheduler_only_when_the_caller_found_it_on_the_server():
    sent = {"scheduler_or_quality_preset": "Karras"}

    assert payload.wanted_scheduler(sent) == "Karras"
    assert payload.wanted_scheduler({**sent, "scheduler": "Simple"}) == ""
    assert "scheduler" not in build(sent)
    assert build(sent, scheduler="Karras")["scheduler"] == "Karras"


def test_stored_pictures_are_put_back_wherever_a_reference_stands():
    reference = {"sha256": "ab", "bytes": 3, "url": "/api/v1/inputs/ab"}
    sent = {
        "init_images": [reference],
        "mask": reference,
        "alwayson_scripts": {"controlnet": {"args": [{"image": reference}]}},
    }

    body = build(sent)

    assert payload.kind_of(sent) == "img2img"
    assert body["init_images"] == ["base64 of ab"]
    assert body["mask"] == "base64 of ab"
    assert body["alwayson_scripts"]["controlnet"]["args"][0]["image"] == "base64 of ab"


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [
        ({"checkpoint_name": "a"}, "a"),
        ({"sd_checkpoint": "b"}, "b"),
        ({"override_settings": {"sd_model_checkpoint": "c"}}, "c"),
        ({"checkpoint_name": "", "sd_checkpoint": "b"}, "b"),
        ({}, ""),
    ],
)
def test_the_wanted_checkpoint_is_found_under_each_of_its_names(sent, wanted):
    assert payload.wanted_checkpoint(sent) == wanted


@pytest.mark.parametrize(
    ("count", "pattern", "names"),
    [
        (1, "j-1-ab", ("j-1-ab",)),
        (3, "j-1-ab-[generation_number]", ("j-1-ab-1", "j-1-ab-2", "j-1-ab-3")),
    ],
)
def test_copies_are_named_after_the_task(count, pattern, names):
    body = build({"override_settings": {"CLIP_stop_at_last_layers": 2}})

    kept = payload.keeping_copies(body, task_id="j-1-ab", count=count)

    assert kept["save_images"] is True
    assert kept["override_settings"]["samples_filename_pattern"] == pattern
    assert kept["override_settings"]["CLIP_stop_at_last_layers"] == 2
    assert payload.copy_names("j-1-ab", count) == names
    assert body["save_images"] is False
