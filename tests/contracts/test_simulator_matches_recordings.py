"""The simulator answers as a real Forge was recorded to answer."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from servers.simulator import ForgeSimulator, ModelFile
from tests.contracts import (
    recordings,
    test_simulator_page_matches_recordings,
    test_simulator_starts_as_recorded,
)
from tests.contracts.recordings import differences, eventually, exchanges, send

CAT = {"prompt": "a cat", "width": 64, "height": 64, "steps": 2, "seed": 1}

NOT_COVERED = {"encode-gap": "timings of a CPU, no exchange"}

COVERED_ELSEWHERE = {
    *test_simulator_page_matches_recordings.COVERED,
    *test_simulator_starts_as_recorded.COVERED,
}

NOT_COVERED_EXCHANGES = {
    ("routes-nowebui", "/openapi.json"): "the length of the real one's description",
    ("get-file-routes", "/home/user/forge/config.json"): "only saved pictures are served",
    ("get-file-routes", "fakestyle_v1.safetensors"): "only saved pictures are served",
}

TIMELINES: dict[str, dict[str, float]] = {
    "gap-512-then-64": {"seconds": 0.4},
    "hires-fix-with-hr-additional-modules": {"seconds": 0.1},
    "hires-fix-without-hr-additional-modules": {"seconds": 0.1},
    "interrupt-during-model-load": {"seconds": 0.1, "load_seconds": 1.0},
    "interrupt-idle": {"seconds": 0.0},
    "interrupt-idle-then-job": {"seconds": 0.0},
    "interrupt-mid-batch2": {"seconds": 4.0},
    "interrupt-mid-first-of-n-iter-3": {"seconds": 3.0},
    "interrupt-mid-job": {"seconds": 6.0},
    "interrupt-save-images": {"seconds": 4.0},
    "interrupt-while-ours-queued": {"seconds": 3.0},
    "other-routes-during-run": {"seconds": 0.5},
    "progress-while-running": {"seconds": 1.0},
    "queue-three-posts": {"seconds": 0.5},
    "same-task-id-twice": {"seconds": 0.5},
    "skip-mid-job": {"seconds": 2.4},
    "txt2img-huge-steps-interrupted": {"seconds": 5.0},
}
"""Several requests at once, replayed in the recorded order; seconds are chosen for the test."""


@contextmanager
def forge_as_recorded(
    name: str = "", /, *, seconds: float = 0.0, load_seconds: float = 0.0
) -> Iterator[ForgeSimulator]:
    """A simulator with the recorded models, after one successful job on the first."""
    models = [
        ModelFile(path, sha256, hashed="never-loaded" not in name or "root" in path)
        for path, sha256 in recordings.MODEL_HASHES.items()
    ]
    nowebui = name == "routes-nowebui"
    with ForgeSimulator(models, seconds=0.0, load_seconds=0.0, nowebui=nowebui) as forge:
        # The one with --nowebui was recorded before it had any job.
        assert nowebui or post(forge, CAT).status_code == 200
        forge.engine.seconds = seconds
        forge.engine.load_seconds = load_seconds
        yield forge


def post(forge: ForgeSimulator, body: dict[str, Any]) -> requests.Response:
    return requests.post(f"{forge.url}/sdapi/v1/txt2img", json=body, timeout=30)


def a_picture(forge: ForgeSimulator) -> str:
    """The picture that was sent wherever the recordings send one."""
    return str(post(forge, CAT).json()["images"][0])


def is_generation(exchange: dict[str, Any]) -> bool:
    return str(exchange["request"]["path"]).endswith(("/txt2img", "/img2img"))


# --- what was done on the recorded server before -------------------------------------


def leave_jpeg_set(forge: ForgeSimulator) -> None:
    post(forge, {**CAT, "override_settings": {"samples_format": "jpg"}})


def put_broken_file(forge: ForgeSimulator) -> None:
    forge.put_model("broken_v1.safetensors", broken=True)


def try_broken_file(forge: ForgeSimulator) -> None:
    leave_jpeg_set(forge)
    put_broken_file(forge)
    requests.post(f"{forge.url}/sdapi/v1/refresh-checkpoints", timeout=5)
    post(forge, {**CAT, "override_settings": {"sd_model_checkpoint": "broken_v1"}})


def delete_listed_file(forge: ForgeSimulator) -> None:
    forge.put_model("gone_v1.safetensors")
    requests.post(f"{forge.url}/sdapi/v1/refresh-checkpoints", timeout=5)
    forge.remove_model("gone_v1.safetensors")


def leave_task_queued(forge: ForgeSimulator, *task_ids: str) -> None:
    for task_id in task_ids or ("t-i2ibad",):
        body = {**CAT, "init_images": ["not an image"], "force_task_id": task_id}
        requests.post(f"{forge.url}/sdapi/v1/img2img", json=body, timeout=5)


def leave_two_tasks_queued(forge: ForgeSimulator) -> None:
    leave_task_queued(forge, "t-i2ibad", "t-i2iurl")


def save_a_picture(forge: ForgeSimulator) -> None:
    post(forge, {**CAT, "seed": 888, "save_images": True})


BEFORE: dict[str, Callable[[ForgeSimulator], None]] = {
    "broken-checkpoint": put_broken_file,
    "broken-checkpoint-recovery": try_broken_file,
    "checkpoint-file-deleted": delete_listed_file,
    "get-file-routes": save_a_picture,
    "img2img-http-url-init": leave_task_queued,
    "override-settings-leak": leave_jpeg_set,
    "same-task-id-twice": leave_two_tasks_queued,
    "txt2img-override-samples-format-webp": leave_jpeg_set,
}


def as_recorded_here(name: str, forge: ForgeSimulator) -> dict[str, Any]:
    """The recording, with this simulator's port and file names in it."""
    picture = "outputs/txt2img-images/2026-11-23/00004-888.png"
    here = f"outputs/txt2img-images/{time.strftime('%Y-%m-%d')}/00000-888.png"
    folders = {picture.rsplit("/", 1)[0]: here.rsplit("/", 1)[0]}
    return recordings.load(name, {"17860": str(forge.port), picture: here, **folders})


# --- the recordings ------------------------------------------------------------------


def one_after_the_other() -> list[str]:
    rest = {*NOT_COVERED, *COVERED_ELSEWHERE, *TIMELINES, *STORIES}
    names = recordings.all_names()
    return [name for name in names if name not in rest and exchanges(recordings.load(name))]


def replay_one_by_one(name: str) -> list[str]:
    with forge_as_recorded(name) as forge:
        picture = a_picture(forge) if "img2img" in name or "image" in name or "png" in name else ""
        BEFORE.get(name, lambda _: None)(forge)
        found: list[str] = []
        for exchange in exchanges(as_recorded_here(name, forge)):
            path = exchange["request"]["path"]
            if any(name == known and path.endswith(end) for known, end in NOT_COVERED_EXCHANGES):
                continue
            answer = send(forge.url, exchange["request"], picture)
            found += [f"{path} {it}" for it in differences(exchange, answer, running=False)]
        return found


def replay_timeline(name: str) -> list[str]:
    """Generations run in threads; what looks at them looks until it sees the recorded state."""
    with forge_as_recorded(**TIMELINES[name]) as forge, ThreadPoolExecutor(8) as threads:
        BEFORE.get(name, lambda _: None)(forge)
        pending, found = [], []
        timeline = exchanges(recordings.load(name))
        for exchange in sorted(timeline, key=lambda it: it["t_sent"]):
            request = exchange["request"]
            if is_generation(exchange):
                pending.append((exchange, threads.submit(send, forge.url, request, "")))
                forge.engine.progress.wait_until_known(request["body"]["force_task_id"])
                continue
            looks = request["method"] == "GET" or request["path"] == "/internal/progress"
            found += _watch(forge, exchange, seconds=10.0 if looks else 0.0)
        for exchange, answer in pending:
            found += differences(exchange, answer.result(), running=False)
        return found


def _watch(forge: ForgeSimulator, exchange: dict[str, Any], seconds: float) -> list[str]:
    def look() -> list[str]:
        answer = send(forge.url, exchange["request"], "")
        return differences(exchange, answer, running=True)

    return [f"{exchange.get('label')}: {it}" for it in eventually(look, seconds)]


def task_state(forge: ForgeSimulator, task_id: str) -> str:
    body = {"id_task": task_id}
    answer = requests.post(f"{forge.url}/internal/progress", json=body, timeout=5).json()
    return next((word for word in ("active", "queued", "completed") if answer[word]), "unknown")


def wait_for_state(forge: ForgeSimulator, task_id: str, state: str) -> None:
    assert not eventually(lambda: [] if task_state(forge, task_id) == state else [state])


def send_and_hang_up(forge: ForgeSimulator, body: dict[str, Any], state: str) -> None:
    """Post a job, and close the connection as soon as its task is in `state`."""
    client = http.client.HTTPConnection("127.0.0.1", forge.port, timeout=10)
    headers = {"Content-Type": "application/json"}
    client.request("POST", "/sdapi/v1/txt2img", json.dumps(body), headers)
    wait_for_state(forge, body["force_task_id"], state)
    client.close()


def client_hangs_up_while_running() -> None:
    recording = recordings.load("client-disconnect-while-running")
    with forge_as_recorded(seconds=0.5) as forge:
        send_and_hang_up(forge, recording["request_body"], "active")

        wait_for_state(forge, "t-disc", "completed")

        assert forge.engine.outputs.paths[-1].endswith("-888.png")


def client_hangs_up_while_queued() -> None:
    recording = recordings.load("client-disconnect-while-queued")
    with forge_as_recorded(seconds=0.5) as forge, ThreadPoolExecutor(1) as threads:
        threads.submit(post, forge, {**CAT, "force_task_id": "t-front"})
        wait_for_state(forge, "t-front", "active")
        send_and_hang_up(forge, recording["request_body"], "queued")

        for _, state in recording["states_of_task_by_internal_progress"]:
            wait_for_state(forge, "t-discq", state)


def sixteen_finished_tasks_are_remembered() -> None:
    right_after, after_16 = exchanges(recordings.load("completed-is-forgotten"))
    with forge_as_recorded() as forge:
        post(forge, {**CAT, "force_task_id": "t-old"})
        assert _watch(forge, right_after, seconds=0.0) == []
        for _ in range(15):
            post(forge, CAT)
        assert _watch(forge, right_after, seconds=0.0) == []

        post(forge, CAT)

        assert _watch(forge, after_16, seconds=0.0) == []


def failed_task_stays_active_until_the_next_begins() -> None:
    post_it, after_500, next_runs, next_done = exchanges(recordings.load("progress-after-error"))
    with forge_as_recorded(seconds=0.5) as forge, ThreadPoolExecutor(1) as threads:
        answer = send(forge.url, post_it["request"], "")
        assert differences(post_it, answer, running=False) == []
        assert _watch(forge, after_500, seconds=0.0) == []

        following = threads.submit(post, forge, CAT)

        assert _watch(forge, next_runs, seconds=5.0) == []
        following.result()
        assert _watch(forge, next_done, seconds=0.0) == []


def options_show_the_override_while_it_runs() -> None:
    recording = recordings.load("options-while-override-runs")
    override = {"sd_model_checkpoint": recording["override_sent"]}
    with forge_as_recorded(seconds=0.5) as forge, ThreadPoolExecutor(1) as threads:
        assert selected(forge) == recording["sd_model_checkpoint_before"]

        job = threads.submit(post, forge, {**CAT, "override_settings": override})

        during = recording["during"]
        assert not eventually(lambda: [] if selected(forge) == during else ["not shown"])
        job.result()
        assert selected(forge) == recording["after"]


def selected(forge: ForgeSimulator) -> Any:
    options = requests.get(f"{forge.url}/sdapi/v1/options", timeout=5).json()
    return options["sd_model_checkpoint"]


def forty_worker_threads_are_all_there_are() -> None:
    with forge_as_recorded(seconds=60.0) as forge, ThreadPoolExecutor(40) as threads:
        for number in range(38):
            threads.submit(post_until_cut, forge, f"t-{number}")
        assert not eventually(lambda: [] if len(forge.engine.progress.pending) == 37 else ["few"])
        assert requests.get(f"{forge.url}/internal/ping", timeout=5).status_code == 200

        for number in (38, 39):
            threads.submit(post_until_cut, forge, f"t-{number}")
        assert not eventually(lambda: [] if len(forge.engine.progress.pending) == 39 else ["few"])

        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{forge.url}/internal/ping", timeout=0.3)
        forge.stop()


def post_until_cut(forge: ForgeSimulator, task_id: str) -> None:
    with pytest.raises(requests.ConnectionError):
        post(forge, {**CAT, "force_task_id": task_id})


def a_dying_forge_closes_its_connections() -> None:
    with forge_as_recorded(seconds=60.0) as forge, ThreadPoolExecutor(1) as threads:
        job = threads.submit(post_until_cut, forge, "t-dying")
        wait_for_state(forge, "t-dying", "active")

        forge.stop()

        job.result()
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{forge.url}/internal/ping", timeout=5)


STORIES: dict[str, Callable[[], None]] = {
    "client-disconnect-while-running": client_hangs_up_while_running,
    "client-disconnect-while-queued": client_hangs_up_while_queued,
    "completed-is-forgotten": sixteen_finished_tasks_are_remembered,
    "progress-after-error": failed_task_stays_active_until_the_next_begins,
    "options-while-override-runs": options_show_the_override_while_it_runs,
    "many-outstanding-posts": forty_worker_threads_are_all_there_are,
    "server-death-mid-run": a_dying_forge_closes_its_connections,
}


@pytest.mark.parametrize("name", one_after_the_other())
def test_simulator_answers_like_the_recorded_forge(name: str) -> None:
    assert replay_one_by_one(name) == []


@pytest.mark.parametrize("name", TIMELINES)
def test_simulator_tells_the_recorded_story(name: str) -> None:
    assert replay_timeline(name) == []


@pytest.mark.parametrize("name", STORIES)
def test_simulator_behaves_as_in_the_recorded_incident(name: str) -> None:
    STORIES[name]()


def test_every_recording_is_covered_or_listed_with_its_reason() -> None:
    covered = {*one_after_the_other(), *TIMELINES, *STORIES, *COVERED_ELSEWHERE}

    names = set(recordings.all_names())

    assert names == covered | set(NOT_COVERED)
    assert not covered & set(NOT_COVERED)
