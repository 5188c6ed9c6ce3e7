"""Every recorded answer of a real Forge, and what our code concludes from it.

The conclusions stand in `conclusions.json`: completed (so many pictures by which model, with
which warnings), snoozed (the job waits uncharged), charged, refused (it fails at once), healed
(the server is healed before its next job), gone (we wanted it stopped).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from servers.forge import ForgeClient
from servers.forge_refusals import require_answer
from tests.contracts import recordings
from tests.contracts.conclusions import (
    generations_in,
    of_generation,
    of_page_generation,
    of_question,
)

CONCLUSIONS: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "conclusions.json").read_text("utf-8")
)

STOPPED_BY_US = [
    "interrupt-mid-job",
    "interrupt-mid-batch2",
    "interrupt-mid-first-of-n-iter-3",
    "interrupt-save-images",
    "interrupt-during-model-load",
    "txt2img-huge-steps-interrupted",
]
"""Recordings that are also judged by whoever wanted the stop."""

NO_TRACE_OF_THE_STOP = ["txt2img-huge-steps-interrupted"]
"""Where Forge's state after the stop was not recorded, so that nobody else can know of it."""


def _state(client: ForgeClient, task_id: str) -> str:
    return client.progress(task_id).state


def _accepted(client: ForgeClient, method: Literal["GET", "POST"], path: str) -> str:
    require_answer(client._wire.ask(method, path))
    return "accepted"


QUESTIONS: dict[str, Callable[[ForgeClient], Any]] = {
    "get-sd-models": lambda it: [(one.name, one.hash) for one in it.checkpoints()],
    "get-sd-models-one-never-loaded": lambda it: [(x.name, x.hash) for x in it.checkpoints()],
    "get-loras": lambda it: [lora.name for lora in it.loras()],
    "get-samplers": lambda it: it.samplers()[:3],
    "get-schedulers": lambda it: it.schedulers()[:3],
    "get-sd-modules": lambda it: it.modules(),
    "get-options": lambda it: it.options()["sd_model_checkpoint"],
    "get-progress-idle": lambda it: it.is_busy(),
    "get-progress-idle-skip-image": lambda it: it.is_busy(),
    "interrupt-idle": lambda it: it.interrupt("t-ours"),
    "internal-progress-unknown-id": lambda it: _state(it, "t-ours"),
    "client-disconnect-while-queued": lambda it: _state(it, "t-discq"),
    "client-disconnect-while-running": lambda it: _state(it, "t-disc"),
    "completed-is-forgotten": lambda it: _state(it, "t-old"),
    "routes-nowebui": lambda it: it.probe(),
    "routes-without-api-flag": lambda it: it.probe(),
    "auth-api-auth-only": lambda it: it.probe(),
    "auth-gradio-auth-only": lambda it: it.probe(),
    "auth-both": lambda it: it.probe(),
    "post-options": lambda it: _accepted(it, "POST", "/sdapi/v1/options"),
}
"""What a recording without a generation of ours, or with more than that, is asked."""

_NOT_ASKED = "We never ask that route."
_MEASURED = "A measurement of times, with no answer in it"
_ELSEWHERE = "Answers of the page that are read by"
NOTHING = {
    "encode-gap": _MEASURED,
    "many-outstanding-posts": f"{_MEASURED}: why one post at a time is sent to a server.",
    "race-ui-job-then-api-job": f"{_MEASURED}.",
    "options-while-override-runs": "Why nothing is pinned while a job runs.",
    "txt2img-GET": "We never ask in that way.",
    "unknown-route": _NOT_ASKED,
    "get-sd-vae": _NOT_ASKED,
    "internal-progress-empty-body": "We always send an id.",
    "internal-progress-null-id": "We always send an id.",
    "server-death-mid-run": "No answer came: tests/servers/test_forge.py hangs up in its place.",
    "startup-window": "Only statuses over time: tests/servers/test_forge_door.py plays them.",
    "get-file-routes": "The simulator's kept pictures are fetched in tests/jobs/test_attempts.py.",
    "get-app-id": f"{_ELSEWHERE} every replayed page here.",
    "gradio-config-txt2img-dependency": f"{_ELSEWHERE} every replayed page here.",
    "gradio-join-errors": f"{_ELSEWHERE} tests/servers/test_forge_page.py.",
    "gradio-interrupt": "Its answer holds an event's id only, as every join does.",
    "gradio-result-file-fetch": "A picture; each replayed page here hands out such ones.",
    "gradio-two-joins": f"{_ELSEWHERE} tests/servers/test_session_and_simulator.py.",
    "gradio-sse-disconnect": "States after a lost stream: the simulator is held to them.",
    "gradio-sse-dropped-while-queued": "States after a withdrawal: the simulator is held to them.",
    "gradio-call-named-endpoint": "Another way through the page, that we do not take.",
    "gradio-run-direct": "Another way through the page, that we do not take.",
    "gradio-checkpoint-change": "We choose a checkpoint for a job only, never for everybody.",
    "gradio-checkpoint-change-unknown": "We choose a checkpoint for a job only.",
    **dict.fromkeys(
        [
            "extra-single-image",
            "get-cmd-flags",
            "get-cmd-flags-without-port-flag",
            "get-embeddings",
            "get-extensions",
            "get-face-restorers",
            "get-hypernetworks",
            "get-internal-pending-tasks-idle",
            "get-internal-ping",
            "get-internal-profile-startup",
            "get-latent-upscale-modes",
            "get-login-check-no-auth-configured",
            "get-memory",
            "get-queue-status",
            "get-scripts",
            "get-upscalers",
            "maintenance-posts",
            "png-info",
        ],
        _NOT_ASKED,
    ),
}
"""Recordings from which a client has nothing to conclude, and why."""


def conclusions_of(name: str) -> list[str]:
    """All we conclude from a recording: from its generations, then from questions."""
    posts = 0 if name in NO_TRACE_OF_THE_STOP else generations_in(name)
    found = [of_generation(name, post=number) for number in range(posts)]
    if name.startswith("gradio-txt2img-"):
        found.append(of_page_generation(name))
    if name in STOPPED_BY_US:
        found.append(of_generation(name, stop=True))
    if ask := QUESTIONS.get(name):
        found.append(of_question(name, ask))
    return found


def test_no_recording_is_left_out_and_none_is_in_both_tables() -> None:
    assert sorted([*CONCLUSIONS, *NOTHING]) == sorted(recordings.all_names())
    assert all(conclusions for conclusions in CONCLUSIONS.values())


def test_the_index_names_every_file() -> None:
    files = {path.stem for path in recordings.FOLDER.glob("*.json")} - {"INDEX"}

    assert files == set(recordings.all_names())


@pytest.mark.parametrize("name", CONCLUSIONS)
def test_what_we_conclude_from_a_recording(name: str) -> None:
    assert conclusions_of(name) == CONCLUSIONS[name]
