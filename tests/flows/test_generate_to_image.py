"""A prompt goes in, a picture comes out."""

import base64
import io
import re

import pytest
from PIL import Image

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import eventually


def test_a_prompt_becomes_a_picture_with_its_infotext(stack, forge):
    alias = stack.add_server(forge.port)

    job_id = stack.generate(alias, positive_prompt="a lighthouse", seed=77, width=64, height=64)
    job = stack.wait_for(job_id)

    assert job["status"] == "completed", job
    [name] = job["result_details"]["images"]
    assert re.fullmatch(rf"{job_id[:8]}_\d{{13}}_00000-77\.png", name)
    picture = Image.open(io.BytesIO(stack.picture(name)))
    assert picture.size == (64, 64)
    assert picture.info["parameters"].startswith("a lighthouse\nSteps: 20")
    assert job["result_details"]["generation_info"]["prompt"] == "a lighthouse"
    assert [entry.seed for entry in forge.journal.generations] == [77]


def test_a_batch_yields_every_picture_under_its_own_seed(stack, forge):
    alias = stack.add_server(forge.port)

    job = stack.wait_for(stack.generate(alias, seed=5, num_images=2, batch_size=2))

    names = job["result_details"]["images"]
    assert [name.rpartition("-")[2] for name in names] == ["5.png", "6.png", "7.png", "8.png"]
    assert len({stack.picture(name) for name in names}) == 4


def test_a_seed_left_open_is_drawn_once_and_shown(stack, forge):
    alias = stack.add_server(forge.port)

    job = stack.wait_for(stack.generate(alias, seed=""))

    assert job["generation_params"]["seed"] == ""
    assert job["seed"] == job["result_details"]["generation_info"]["seed"]
    assert forge.journal.generations[0].seed == job["seed"]


def test_a_picture_sent_along_is_drawn_from_and_kept_as_a_file(stack, forge):
    alias = stack.add_server(forge.port)
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")

    job = stack.wait_for(
        stack.generate(
            alias,
            init_images=[base64.b64encode(file.getvalue()).decode()],
            denoising_strength=0.5,
        )
    )

    assert job["status"] == "completed", job
    assert forge.journal.generations[0].kind == "img2img"
    [reference] = job["generation_params"]["init_images"]
    assert reference["bytes"] == len(file.getvalue())
    kept = stack.api.get(f"{stack.url}{reference['url']}", timeout=10)
    assert kept.content == file.getvalue()


def test_jobs_of_one_server_run_one_after_the_other_in_their_order(stack, forge):
    alias = stack.add_server(forge.port)

    jobs = [stack.generate(alias, seed=seed) for seed in range(5)]
    for job_id in jobs:
        assert stack.wait_for(job_id)["status"] == "completed"

    assert [entry.seed for entry in forge.journal.generations] == [0, 1, 2, 3, 4]
    assert forge.journal.max_parallel == 1


def test_progress_is_shown_while_forge_draws(stack):
    with ForgeSimulator(seconds=3) as slow:
        job_id = stack.generate(stack.add_server(slow.port))

        half_way = eventually(
            lambda: (job := stack.job(job_id))["progress_percentage"] > 20 and job,
            what="progress",
        )

        assert half_way["status"] == "processing"
        assert half_way["phase"] == "generating"
        stack.cancel(job_id)


@pytest.mark.parametrize("windows", [True, False])
def test_a_checkpoint_with_the_wrong_slash_reaches_forge_under_its_own_name(stack, windows):
    models = ["Pony/cyberrealisticPony_v8.safetensors", "other.safetensors"]
    with ForgeSimulator(seconds=0.3, models=models, windows=windows) as forge:
        alias = stack.add_server(forge.port)
        wrong = "/" if windows else "\\"

        job = stack.wait_for(
            stack.generate(alias, checkpoint_name=f"Pony{wrong}cyberrealisticPony_v8.safetensors")
        )

        assert job["status"] == "completed", job
        own = "\\" if windows else "/"
        assert (
            forge.journal.generations[0].checkpoint == f"Pony{own}cyberrealisticPony_v8.safetensors"
        )


def test_a_checkpoint_the_server_lacks_fails_the_job_and_is_never_sent(stack, forge):
    alias = stack.add_server(forge.port)

    job = stack.wait_for(stack.generate(alias, checkpoint_name="nope.safetensors"))

    assert job["status"] == "failed"
    assert job["result_details"]["error"] == "CHECKPOINT_NOT_FOUND"
    assert "nope.safetensors" in job["result_details"]["message"]
    assert forge.journal.generations == []


def test_a_model_used_silently_instead_of_the_wanted_one_fails_the_job(stack):
    with ForgeSimulator(seconds=0.3, models=["a.safetensors", "b.safetensors"]) as forge:
        forge.fault("wrong_model", times=1)
        alias = stack.add_server(forge.port)

        job = stack.wait_for(stack.generate(alias, checkpoint_name="b.safetensors"))

        assert job["status"] == "failed"
        assert job["result_details"]["error"] == "MODEL_MISMATCH"


def test_a_server_that_is_off_keeps_its_jobs_and_gets_them_when_it_is_back(stack):
    with ForgeSimulator(seconds=0.3) as gone:
        port = gone.port
    alias = stack.add_server(port)
    job_id = stack.generate(alias)
    waiting = eventually(
        lambda: (job := stack.job(job_id))["phase"] == "waiting_for_server" and job,
        what="waiting for the server",
    )

    with ForgeSimulator(seconds=0.3, port=port):
        job = stack.wait_for(job_id)

    assert waiting["status"] == "pending"
    assert job["status"] == "completed"
    assert job["retry_count"] == 0
