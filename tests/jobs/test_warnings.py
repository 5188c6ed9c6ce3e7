"""What Forge did not heed is told with the result."""

import pytest

from servers.models import Server

pytestmark = pytest.mark.django_db(transaction=True)

LORA = "The server has no LoRA 'nosuch'; it drew without it."
SAMPLER = "The sampler 'Nosuch' was not used: Forge took 'DPM++ 2M'."
SIZE = "The picture has 64 x 64 pixels instead of 70 x 66: Forge draws in steps of 8 pixels."
MODULE = "The server has no VAE or text encoder 'nosuch.safetensors'; it drew without it."
UNHEEDED = {
    "positive_prompt": "a cat <lora:nosuch:0.5> <lora:fakestyle_v1:0.5>",
    "sampler_name": "Nosuch",
    "width": 70,
    "height": 66,
    "override_settings": {"forge_additional_modules": ["nosuch.safetensors"]},
}
HEEDED = {
    "positive_prompt": "a cat <lora:fakestyle_v1:0.5>",
    "sampler_name": "DPM++ 2M Karras",
    "width": 64,
    "height": 64,
    "enable_hr": True,
    "hr_scale": 2,
    "hr_upscaler": "Latent",
    "override_settings": {"forge_additional_modules": ["ae.safetensors"]},
}


@pytest.fixture
def bench(make_bench):
    return make_bench(modules=["models/VAE/ae.safetensors"])


def test_every_silent_fall_back_is_a_warning_of_a_completed_job(bench):
    job = bench.run(bench.job(**UNHEEDED))

    assert job.status == "completed"
    assert job.result["warnings"] == [SAMPLER, SIZE, LORA, MODULE]


def test_a_job_that_got_what_it_asked_for_has_no_warning(bench):
    job = bench.run(bench.job(**HEEDED))

    assert (job.status, job.result["warnings"]) == ("completed", [])


@pytest.mark.parametrize(
    ("health", "told"),
    [("online", [SAMPLER, SIZE, LORA, MODULE]), ("offline", [SAMPLER, SIZE])],
)
def test_a_fetched_picture_is_compared_with_what_can_be_asked(bench, health, told):
    bench.forge.fault("close_midway")
    job = bench.run(bench.job(**UNHEEDED))
    Server.objects.update(health=health)

    job = bench.recover(job)

    assert (job.status, job.result["warnings"][1:]) == ("completed", told)
