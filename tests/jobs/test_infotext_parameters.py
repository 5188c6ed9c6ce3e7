"""What an infotext asks for, as parameters of a job, and the infotext of a job's parameters."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import infotext_fields, parameters, payload
from jobs.infotext import Infotext, parse, render
from jobs.infotext_fields import FIELDS, HIRES_FIELDS, OVERRIDES, SIZES, Name, Real, Truth, Whole
from jobs.infotext_parameters import from_parameters, to_parameters
from jobs.parameters import ParametersSerializer
from tests.jobs.test_infotext import FORGE, RANDOMIZER, prose


def read(**settings):
    """Parameters without the prompt; `Steps=20` and `Clip_skip=2` stand for the keys."""
    return to_parameters(Infotext("", "", {k.replace("_", " "): v for k, v in settings.items()}))


# --- reading -------------------------------------------------------------------------


def test_a_picture_of_forge_can_be_asked_for_again():
    reading = to_parameters(parse(FORGE))

    assert reading.warnings == ()
    assert reading.parameters == {
        "positive_prompt": "a cat <lora:fakestyle_v1:0.5>",
        "steps": 2,
        "sampler_name": "Euler",
        "scheduler": "Automatic",
        "cfg_scale": 7.0,
        "seed": 1,
        "width": 64,
        "height": 64,
        "checkpoint_name": "rootrandom_v1 [de30aa40de]",
    }


def test_what_the_randomizer_sends_can_be_asked_for():
    reading = to_parameters(parse(RANDOMIZER))

    assert reading.warnings == ()
    assert reading.parameters["negative_prompt"] == "bad, worse"
    assert reading.parameters["checkpoint_name"] == "x [abcdef0123]"
    assert (reading.parameters["width"], reading.parameters["height"]) == (512, 768)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"Steps": "20.0"}, {"steps": 20}),
        ({"CFG_scale": "7.5"}, {"cfg_scale": 7.5}),
        ({"cfg_Scale": "7"}, {"cfg_scale": 7.0}),
        ({"Seed": "8589934592"}, {"seed": 2**33}),
        ({"Seed": "-1"}, {"seed": -1}),
        ({"Clip_skip": "2"}, {"clip_skip": 2}),
        ({"Distilled_CFG_Scale": "3.5"}, {"distilled_cfg_scale": 3.5}),
        ({"Seed_resize_from": "640x512"}, {"seed_resize_from_w": 640, "seed_resize_from_h": 512}),
        ({"Variation_seed": "3"}, {"subseed": 3}),
        ({"Refiner": "x [abcdef0123]"}, {"refiner_checkpoint": "x [abcdef0123]"}),
        ({"Refiner_switch_at": "0.8"}, {"refiner_switch_at": 0.8}),
        ({"Tiling": "True"}, {"tiling": True}),
        ({"Batch_size": "4", "Batch_pos": "2", "Version": "neo", "Unknown": "x"}, {}),
    ],
)
def test_a_setting_becomes_a_typed_parameter(settings, expected):
    assert read(**settings).parameters == expected
    assert read(**settings).warnings == ()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"ENSD": "31337"}, {"eta_noise_seed_delta": 31337}),
        ({"RNG": "CPU"}, {"randn_source": "CPU"}),
        ({"Eta": "0.67"}, {"eta_ancestral": 0.67}),
        ({"Emphasis": "None"}, {"emphasis": "None"}),
        ({"Token_merging_ratio": "0.5"}, {"token_merging_ratio": 0.5}),
        ({"VAE": "vae-ft-mse.pt"}, {"forge_additional_modules": ["vae-ft-mse.pt"]}),
        ({"Module_1": "ae", "Module_2": "t5"}, {"forge_additional_modules": ["ae", "t5"]}),
        ({"VAE": "old", "Module_1": "ae"}, {"forge_additional_modules": ["old"]}),
    ],
)
def test_an_option_of_the_server_becomes_an_override(settings, expected):
    assert read(**settings).parameters == {"override_settings": expected}


def test_restored_faces_name_the_model_that_restored_them():
    assert read(Face_restoration="CodeFormer").parameters == {
        "restore_faces": True,
        "override_settings": {"face_restoration_model": "CodeFormer"},
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"Steps": "0"},
        {"Steps": "many"},
        {"Steps": "9" * 5000},
        {"Size": "0x0"},
        {"Size": "512"},
        {"CFG_scale": "nan"},
        {"CFG_scale": "."},
        {"CFG_scale": "1e999"},
        {"Seed": str(2**63)},
        {"Sampler": "x" * 301},
        {"Sampler": "Undefined"},
        {"Model_hash": "a49140c6c5ff"},
        {"RNG": "TPU"},
        {"Tiling": "somewhat"},
        {"Model": "a\nb"},
        {"Denoising_strength": "1.5"},
    ],
)
def test_a_value_out_of_bounds_is_left_out_and_told(settings):
    reading = read(**settings)

    (label,) = settings
    assert reading.parameters == {}
    assert len(reading.warnings) == 1
    assert reading.warnings[0].startswith(label.replace("_", " "))
    assert len(reading.warnings[0]) < 300


@pytest.mark.parametrize("settings", [{"VAE": "None"}, {"Clip_skip": "None"}, {"VAE": "Automatic"}])
def test_a_value_that_says_nothing_is_no_reason_to_warn(settings):
    assert read(**settings) == read()


@pytest.mark.parametrize(
    ("sampler", "schedule", "expected"),
    [
        ("DPM++ 2M Karras", None, ("DPM++ 2M", "Karras")),
        ("DPM++ 2M SDE Heun Exponential", None, ("DPM++ 2M SDE Heun", "Exponential")),
        ("DPM++ 3M SDE Polyexponential", None, ("DPM++ 3M SDE", "Polyexponential")),
        ("Euler a SGM Uniform", None, ("Euler a", "SGM Uniform")),
        ("Euler Align Your Steps GITS", None, ("Euler", "Align Your Steps GITS")),
        ("DPM++ 2M karras", "Automatic", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", "Simple", ("DPM++ 2M Karras", "Simple")),
        ("DPM++ 2M", "Karras", ("DPM++ 2M", "Karras")),
        ("DDIM", None, ("DDIM", None)),
        ("DDIM CFG++", None, ("DDIM CFG++", None)),
    ],
)
def test_a_scheduler_behind_the_sampler_is_parted_from_it(sampler, schedule, expected):
    settings = {"Sampler": sampler} | ({"Schedule_type": schedule} if schedule else {})

    found = read(**settings).parameters

    assert (found["sampler_name"], found.get("scheduler")) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"Model": "x", "Model_hash": "DE30AA40DE"}, "x [de30aa40de]"),
        ({"Model": "x"}, "x"),
        ({"Model_hash": "de30aa40de"}, "de30aa40de"),
        ({"Model": "None", "Model_hash": "0xde30aa40de"}, "de30aa40de"),
        ({"Model": "a, b: c", "Model_hash": "81761151"}, "a, b: c [81761151]"),
        ({"Model": "x", "Hashes": '{"vae":"1","model":"DE30AA40DE"}'}, "x [de30aa40de]"),
        ({"Model": "x" * 1000, "Model_hash": "de30aa40de"}, "de30aa40de"),
    ],
)
def test_the_checkpoint_is_named_by_name_and_hash(settings, expected):
    assert read(**settings).parameters["checkpoint_name"] == expected


# --- the second pass -----------------------------------------------------------------


def test_hires_settings_ask_for_a_second_pass():
    reading = to_parameters(
        parse(
            "a\nSteps: 20, Seed: 5, Denoising strength: 0.4, Hires upscale: 1.5, Hires steps: 10, "
            'Hires upscaler: Latent, Hires prompt: "a, b\\n\\"c\\"", Hires CFG Scale: 5, '
            "Hires sampler: Use same sampler, Hires Module 1: Use same choices"
        )
    )

    assert reading.warnings == ()
    assert reading.parameters == {
        "positive_prompt": "a",
        "steps": 20,
        "seed": 5,
        "denoising_strength": 0.4,
        "enable_hr": True,
        "hr_scale": 1.5,
        "hr_second_pass_steps": 10,
        "hr_upscaler": "Latent",
        "hr_prompt": 'a, b\n"c"',
        "hr_cfg": 5.0,
    }


@pytest.mark.parametrize(
    ("settings", "enabled"),
    [
        ({"Denoising_strength": "0.4", "Hires_resize": "0x1024"}, False),
        ({"Denoising_strength": "0.4", "Hires_resize": "1024x0"}, True),
        ({"Denoising_strength": "0.4", "Hires_upscaler": "Latent"}, True),
        ({"Denoising_strength": "0.4", "Hires_steps": "5"}, False),
        ({"Hires_upscale": "2"}, False),
    ],
)
def test_a_second_pass_needs_a_strength_and_a_size(settings, enabled):
    assert ("enable_hr" in read(**settings).parameters) is enabled


@pytest.mark.parametrize(("first", "size"), [("512x384", (512, 384)), ("0x0", (640, 448))])
def test_old_pictures_tell_the_final_size_and_that_of_the_first_pass(first, size):
    found = read(Size="1024x768", First_pass_size=first, Denoising_strength="0.7").parameters

    assert (found["width"], found["height"]) == size
    assert (found["hr_resize_x"], found["hr_resize_y"]) == (1024, 768)
    assert found["enable_hr"] is True


# --- Civitai's pictures of Flux ------------------------------------------------------


def test_what_civitai_writes_about_flux_is_repaired():
    reading = to_parameters(
        parse(
            "a still from a movie Negative prompt: Steps: 23, Sampler: Undefined, CFG scale: 3.5, "
            'Seed: 12, Clip skip: 2, Civitai resources: [{"modelName":"FLUX"}]'
        )
    )

    assert reading.warnings == ()
    assert reading.parameters == {
        "positive_prompt": "a still from a movie",
        "steps": 23,
        "sampler_name": "Euler",
        "scheduler": "Simple",
        "cfg_scale": 1.0,
        "distilled_cfg_scale": 3.5,
        "seed": 12,
    }


def test_other_pictures_of_civitai_are_left_as_they_are():
    settings = {"CFG_scale": "3.5", "Clip_skip": "2", "Civitai_resources": "[]"}

    assert read(**settings).parameters == {"cfg_scale": 3.5, "clip_skip": 2}


# --- what is read can be submitted ---------------------------------------------------


def test_the_bounds_are_those_of_what_a_client_may_ask_for():
    accepted: dict[str, Any] = dict(ParametersSerializer().fields)
    named: dict[str, Any] = {field.name: field.kind for field in (*FIELDS, *HIRES_FIELDS)}
    named |= {name: sides.kind for sides in SIZES for name in (sides.wide, sides.high)}
    named["checkpoint_name"] = Name(infotext_fields.MAX_CHECKPOINT)

    for name in named.keys() & accepted.keys() - {"seed", "subseed", "tiling"}:
        kind, field = named[name], accepted[name]
        if isinstance(kind, Whole | Real):
            assert (kind.low, kind.high) == (field.min_value, field.max_value), name
        else:
            assert kind.max_length == field.max_length, name
    assert infotext_fields.MAX_PROMPT == parameters.MAX_PROMPT
    assert infotext_fields.MAX_SEED == parameters.MAX_SEED


def test_all_that_is_read_is_sent_to_forge():
    assert {field.name for field in OVERRIDES} <= payload.SETTINGS_ALLOWED
    sent = payload.COPIED | {"clip_skip", "seed"}
    assert {field.name for field in (*FIELDS, *HIRES_FIELDS)} <= sent
    assert {name for sides in SIZES for name in (sides.wide, sides.high)} <= sent


LABELS = [field.label for field in (*FIELDS, *HIRES_FIELDS, *OVERRIDES)] + [
    *(sides.label for sides in SIZES),
    *("Model", "Model hash", "Hashes", "VAE", "Module 1", "Hires Module 1", "First pass size"),
]
numbers = st.integers(-2, 10_000) | st.integers() | st.floats()
sizes = st.tuples(st.integers(-1, 9000), st.integers(-1, 9000)).map(lambda s: f"{s[0]}x{s[1]}")
values = numbers.map(str) | sizes | prose | st.sampled_from(["True", "None", "de30aa40de", "FLUX"])
settings = st.dictionaries(st.sampled_from(LABELS), values, max_size=12)


@given(st.builds(Infotext, prose.map(str.strip), prose.map(str.strip), settings))
def test_whatever_is_read_passes_as_a_request_when_it_has_a_prompt(infotext):
    found = to_parameters(parse(render(infotext))).parameters

    serializer = ParametersSerializer(data={"positive_prompt": "a cat"} | found)

    assert serializer.is_valid(), serializer.errors
    assert payload.build(found, seed=1, read_input=str)


@given(st.text())
def test_any_text_can_be_read(text):
    found = to_parameters(parse(text)).parameters

    assert ParametersSerializer(data={"positive_prompt": "a cat"} | found).is_valid()


# --- writing -------------------------------------------------------------------------


def test_a_job_is_told_as_forge_tells_it():
    told = from_parameters(
        {
            "positive_prompt": "a cat",
            "negative_prompt": "",
            "checkpoint_name": "Pony\\tinyrandom_v1.safetensors [b4576364af]",
            "width": 512,
            "height": 768,
            "steps": 20,
            "cfg_scale": 7,
            "sampler_name": "Euler a",
            "seed": "",
            "num_images": 4,
            "refiner_model": "None",
            "override_settings": {"randn_source": "CPU", "outdir_samples": "/etc"},
            "hr_scale": 2,
        },
        seed=1806652750,
        version="stablequeue",
    )

    assert render(told) == (
        "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1806652750, Size: 512x768, "
        "Model hash: b4576364af, Model: Pony\\tinyrandom_v1.safetensors, RNG: CPU, "
        "Version: stablequeue"
    )


def test_fields_of_older_clients_are_told_under_the_one_name():
    told = from_parameters(
        {
            "prompt": "a cat",
            "sd_checkpoint": "x",
            "enable_hires_fix": True,
            "upscaler_model": "Latent",
            "seed": -1,
            "override_settings": None,
        }
    )

    assert told == Infotext("a cat", "", {"Model": "x", "Hires upscaler": "Latent"})


def values_of(field):
    if isinstance(field.kind, Whole):
        return st.integers(max(field.kind.low, 0), field.kind.high)
    if isinstance(field.kind, Real):
        return st.floats(field.kind.low, field.kind.high).filter(math.isfinite)
    if field.label.endswith("prompt"):
        return prose.map(str.strip).filter(len)
    if isinstance(field.kind, Truth):
        return st.booleans()
    options = getattr(field.kind, "options", None)
    return st.sampled_from(options) if options else st.sampled_from(["a (b), c: d", "x/y"])


def some(*fields, **always):
    chosen = {field.name: values_of(field) for field in fields if field.name not in always}
    return st.fixed_dictionaries(always, optional=chosen)


plain = [field for field in OVERRIDES if isinstance(field.kind, Whole | Real)]


@given(
    some(*FIELDS, steps=st.integers(1, 1000), width=st.just(512), height=st.just(768)),
    some(*HIRES_FIELDS, hr_scale=st.just(2.0), denoising_strength=st.just(0.5)) | st.just({}),
    some(*plain, forge_additional_modules=st.just(["ae", "t5"]), randn_source=st.just("NV")),
    st.sampled_from(["Pony/x.safetensors", "x [abcdef0123]", "de30aa40de"]),
)
def test_a_job_can_be_told_and_asked_for_again(first_pass, second_pass, overrides, checkpoint):
    asked = {"positive_prompt": "a cat", "checkpoint_name": checkpoint} | first_pass | second_pass
    asked |= {"override_settings": overrides} | ({"enable_hr": True} if second_pass else {})

    reading = to_parameters(parse(render(from_parameters(asked))))

    assert reading.parameters == asked
    assert reading.warnings == ()
