"""However a Forge was started, and whatever it asks for: the same stories come out the same."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest
from PIL import Image

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import eventually, is_idle

WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "api": ({}, {}),
    "api, --api-auth": (
        {"api_auth": "api:secret"},
        {"api_username": "api", "api_password": "secret"},
    ),
    "api, --gradio-auth": (
        {"gradio_auth": "me:sesame"},
        {"username": "me", "password": "sesame"},
    ),
    "api, both": (
        {"api_auth": "api:secret", "gradio_auth": "me:sesame"},
        {
            "username": "me",
            "password": "sesame",
            "api_username": "api",
            "api_password": "secret",
        },
    ),
    "session": ({"api": False}, {}),
    "session, --gradio-auth": (
        {"api": False, "gradio_auth": "me:sesame"},
        {"username": "me", "password": "sesame"},
    ),
    "session by choice, both": (
        {"api_auth": "api:secret", "gradio_auth": "me:sesame"},
        {"username": "me", "password": "sesame", "protocol": "session"},
    ),
}
"""How Forge is started, and what its server is told."""

CHECKPOINTS = ("Pony/tinyrandom_v1.safetensors", "rootrandom_v1.safetensors")


@pytest.fixture(params=WAYS)
def started(request, stack):
    """A Forge started in one of the ways, seen to be well; draws in `seconds`."""

    @contextlib.contextmanager
    def start(seconds=0.3, **options):
        flags, told = WAYS[request.param]
        with ForgeSimulator(seconds=seconds, load_seconds=0.05, **flags, **options) as forge:
            alias = stack.add_server(forge.port, **told)
            server = eventually(
                lambda: (seen := stack.server(alias))["health"] == "online" and seen,
                what="a server online",
            )
            assert server["health_reason"] == ""
            assert server["capabilities"]["way"] == request.param.partition(",")[0].split()[0]
            yield forge, alias

    return start


def test_a_batch_of_four_is_drawn_with_the_checkpoint_asked_for(stack, started):
    with started() as (_forge, alias):
        jobs = [
            stack.wait_for(
                stack.generate(alias, seed=3, batch_size=2, num_images=2, checkpoint_name=path)
            )
            for path in CHECKPOINTS
        ]

        for job, path in zip(jobs, CHECKPOINTS, strict=True):
            assert job["status"] == "completed", job
            assert len({stack.picture(name) for name in job["result_details"]["images"]}) == 4
            assert job["result_details"]["warnings"] == []
            drawn = job["result_details"]["generation_info"]["sd_model_name"]
            assert path.endswith(f"{drawn}.safetensors")


def test_progress_and_a_preview_are_shown_while_it_is_drawn(stack, started):
    with started(seconds=2) as (_forge, alias):
        job_id = stack.generate(alias)

        job = eventually(
            lambda: 0 < (seen := stack.job(job_id))["progress_percentage"] < 100 and seen,
            what="progress in between",
        )
        address = f"{stack.url}{job['preview_url']}"
        picture = eventually(
            lambda: (answer := stack.api.get(address, timeout=10)).status_code == 200 and answer,
            what="a preview",
        )
        assert picture.headers["Content-Type"] == "image/png"
        assert Image.open(io.BytesIO(picture.content)).format == "PNG"

        stack.wait_for(job_id, "completed")
        assert stack.api.get(address, timeout=10).status_code == 404
        assert stack.job(job_id)["preview_url"] is None


def test_a_cancelled_waiting_job_is_never_drawn(stack, started):
    with started(seconds=1) as (forge, alias):
        running, waiting = stack.generate(alias, seed=1), stack.generate(alias, seed=2)
        stack.wait_for(running, "processing")

        stack.cancel(waiting)

        assert stack.wait_for(running)["status"] == "completed"
        assert [entry.seed for entry in forge.journal.generations] == [1]


def test_a_cancelled_running_job_is_interrupted_and_the_next_one_goes_on(stack, started):
    with started(seconds=3) as (forge, alias):
        running, following = stack.generate(alias, seed=1), stack.generate(alias, seed=2)
        eventually(lambda: stack.job(running)["phase"] == "generating", what="drawing")

        stack.cancel(running)

        assert stack.wait_for(following)["status"] == "completed"
        assert [entry.outcome for entry in forge.journal.generations] == [
            "interrupted",
            "completed",
        ]
        assert stack.job(running)["status"] == "cancelled"


def test_while_somebody_else_draws_only_ours_is_stopped(stack, started):
    with started(seconds=2) as (forge, alias):
        forge.foreign(seconds=3)
        ours = stack.generate(alias)
        eventually(lambda: stack.job(ours)["phase"] == "queued_on_forge", what="queueing on Forge")

        stack.cancel(ours)

        eventually(lambda: is_idle(forge), what="Forge idle")
        assert forge.journal.generations[0].outcome == "completed"
        assert stack.job(ours)["status"] == "cancelled"


def test_a_killed_workers_picture_is_taken_over(stack, started):
    with started(seconds=2) as (forge, alias):
        job_id = stack.generate(alias, seed=9, num_images=2)
        eventually(lambda: forge.journal.generations, what="drawing")
        stack.kill("--servers")

        job = stack.wait_for(job_id)

        assert job["status"] == "completed", job
        assert [entry.seed for entry in forge.journal.generations] == [9]
        assert job["retry_count"] == 0
        assert len(job["result_details"]["images"]) == 2


@pytest.mark.parametrize(
    ("flags", "wrong", "right", "asks_for"),
    [
        pytest.param(
            {"api_auth": "api:secret-7531"},
            {"api_username": "api", "api_password": "guess-1357"},
            {"api_password": "secret-7531"},
            "user name and password",
            id="--api-auth",
        ),
        pytest.param(
            {"api": False, "gradio_auth": "me:secret-7531"},
            {"username": "me", "password": "guess-1357"},
            {"password": "secret-7531"},
            "--gradio-auth",
            id="--gradio-auth",
        ),
        pytest.param(
            {"api": False, "gradio_auth": "me:secret-7531"},
            {},
            {"username": "me", "password": "secret-7531"},
            "--gradio-auth",
            id="none stored",
        ),
    ],
)
def test_a_wrong_login_pauses_its_server_and_costs_no_job_a_try(
    stack, flags, wrong, right, asks_for
):
    with ForgeSimulator(seconds=0.2, **flags) as forge:
        alias = stack.add_server(forge.port, **wrong)
        job_id = stack.generate(alias)
        eventually(
            lambda: asks_for in (stack.server(alias)["health_reason"] or ""), what="the reason"
        )
        assert stack.server(alias)["health"] == "unauthorized"
        # Its first try may just have met the same refusal.
        stack.wait_for(job_id, "pending")

        stack.change_server(alias, **right)

        job = stack.wait_for(job_id)
        assert (job["status"], job["retry_count"], job["errors"]) == ("completed", 0, [])
        said = "\n".join(stack.log_lines())
        assert "secret-7531" not in said
        assert "guess-1357" not in said
