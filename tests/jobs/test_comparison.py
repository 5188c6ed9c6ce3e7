"""What is told of a drawing that is not as it was asked for, held against real answers."""

import json

import pytest

from jobs.comparison import Doubts, differences, doubts, missing
from servers.forge_replies import Generation, generation_of
from tests.factories import png
from tests.servers.recordings import exchanges


def drawing(name: str, path: str = "/sdapi/v1/"):
    """A recorded wish, and the generation that came of it, its pictures of the recorded sizes."""
    wish, answer = next(
        (request["body"], response["body"])
        for request, response in exchanges(name, path)
        if "2img" in request["path"]
    )
    info = json.loads(answer["info"])
    shown = answer["images"][info["index_of_first_image"] :]
    sizes = [picture["size"] if isinstance(picture, dict) else (64, 64) for picture in shown]
    pictures = tuple(png(size=tuple(size)) for size in sizes)
    return wish, generation_of("http://forge", info, pictures)


def all_sentences(name, **lists):
    wish, generation = drawing(name)
    return [*differences(wish, generation), *missing(doubts(wish, generation), **lists)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("txt2img-bad-sampler", "The sampler 'NoSuchSampler' was not used: Forge took 'DPM++ 2M'."),
        (
            "txt2img-bad-scheduler",
            "The scheduler 'NoSuchScheduler' was not used: Forge took 'Automatic'.",
        ),
        (
            "txt2img-width-70",
            "The picture has 64 x 64 pixels instead of 70 x 66: Forge draws in steps of 8 pixels.",
        ),
        ("txt2img-lora-unknown", "The server has no LoRA 'nosuchlora'; it drew without it."),
        (
            "txt2img-vae-module-unknown",
            "The server has no VAE or text encoder 'nosuch.safetensors'; it drew without it.",
        ),
    ],
)
def test_each_silent_fall_back_of_forge_is_told(name, told):
    assert all_sentences(name, loras={"fakestyle_v1"}, modules=set()) == [told]


@pytest.mark.parametrize(
    "name",
    [
        "txt2img-sampler-and-scheduler",
        "txt2img-sampler-with-scheduler-in-name",
        "txt2img-sampler-index-only",
        "txt2img-lora-known",
        "txt2img-missing-prompt",
        "txt2img-width-string",
        "txt2img-batch2-niter2",
        "txt2img-save-true-batch2-grid",
        "txt2img-seed-null",
        "hires-fix-with-hr-additional-modules",
        "img2img-init-image",
    ],
)
def test_nothing_is_told_of_a_drawing_that_is_as_it_was_asked_for(name):
    assert all_sentences(name, loras=set(), modules=set()) == []


@pytest.mark.parametrize("name", ["txt2img-lora-unknown", "txt2img-vae-module-unknown"])
def test_nothing_is_told_of_a_file_while_the_servers_list_is_unknown(name):
    assert all_sentences(name, loras=None, modules=None) == []


def test_a_lora_that_the_server_has_is_believed_though_its_hash_is_not_written_down():
    assert all_sentences("txt2img-lora-unknown", loras={"nosuchlora"}, modules=None) == []


INFOTEXT = "a cat\nSteps: 2, Sampler: {}, Schedule type: {}, CFG scale: 7, Seed: 1, Size: 64x64"


def drew(sampler="Euler", scheduler="Automatic", *, extra="", seed=1, size=(64, 64)):
    return Generation(
        images=(png(size=size),),
        info={"sampler_name": sampler},
        seeds=(seed,),
        infotexts=(INFOTEXT.format(sampler, scheduler) + extra,),
        model_name="",
        model_hash="",
    )


@pytest.mark.parametrize(
    ("sampler", "scheduler", "used"),
    [
        ("Euler a", None, ("Euler a", "Automatic")),
        ("euler A", "Automatic", ("Euler a", "Automatic")),
        ("k_euler_a", "automatic", ("Euler a", "Automatic")),
        ("k_euler_ancestral", None, ("Euler a", "Automatic")),
        ("k_dpmpp_2m_sde", None, ("DPM++ 2M SDE", "Exponential")),
        ("DPM++ 2M", "Automatic", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M Karras", None, ("DPM++ 2M", "Karras")),
        ("Euler SGM Uniform", None, ("Euler", "SGM Uniform")),
        ("Euler", "sgm_uniform", ("Euler", "SGM Uniform")),
        ("Euler", "SGMUniform", ("Euler", "SGM Uniform")),
        ("Euler", "ddim_uniform", ("Euler", "DDIM")),
        ("Euler", "align_your_steps_GITS", ("Euler", "Align Your Steps GITS")),
    ],
)
def test_another_spelling_of_a_sampler_or_scheduler_is_no_difference(sampler, scheduler, used):
    assert differences({"sampler_name": sampler, "scheduler": scheduler}, drew(*used)) == ()


@pytest.mark.parametrize(
    ("wish", "used"),
    [
        ({"sampler_name": "DPM++ 2M SDE"}, ("DPM++ 2M", "Karras")),
        ({"sampler_name": "Euler a Karras"}, ("Euler", "Karras")),
        ({"scheduler": "Karras"}, ("Euler", "Automatic")),
        ({"scheduler": "Align Your Steps"}, ("Euler", "Align Your Steps GITS")),
    ],
)
def test_what_only_looks_alike_is_a_difference(wish, used):
    assert len(differences(wish, drew(*used))) == 1


def test_another_seed_is_told():
    assert differences({"seed": 2}, drew(seed=1)) == ("Forge drew with the seed 1 instead of 2.",)


@pytest.mark.parametrize("more", [{"enable_hr": True}, {"mask": "…"}, {"resize_mode": 3}])
def test_a_size_that_follows_from_more_than_width_and_height_is_not_judged(more):
    wish = {"width": 64, "height": 64, **more}

    assert differences(wish, drew(size=(128, 128))) == ()
    assert differences(wish | dict.fromkeys(more), drew(size=(128, 128))) == (
        "The picture has 128 x 128 pixels instead of 64 x 64.",
    )


def test_an_answer_without_an_infotext_raises_no_doubt():
    silent = Generation((png(),), {}, (1,), ("",), "", "")

    assert doubts({"prompt": "<lora:x:1>"}, silent) == Doubts()


@pytest.mark.parametrize(
    ("wish", "extra", "doubted"),
    [
        ({"prompt": "<lora:a, b:1> <lora:c>"}, ', Lora hashes: "a b: 12"', Doubts(("c",))),
        ({"prompt": "<lora:a:1>", "disable_extra_networks": True}, "", Doubts()),
        (
            {"override_settings": {"forge_additional_modules": ["/x/ae.sft"]}},
            "",
            Doubts((), ("/x/ae.sft",)),
        ),
        (
            {"override_settings": {"forge_additional_modules": ["/x/ae.sft"]}},
            ", Module 1: ae",
            Doubts(),
        ),
        ({"override_settings": {"forge_additional_modules": ["Built in"]}}, "", Doubts()),
    ],
)
def test_what_the_answer_does_not_mention_is_doubted(wish, extra, doubted):
    assert doubts(wish, drew(extra=extra)) == doubted
