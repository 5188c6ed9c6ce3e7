"""The simulated Forge beyond its recordings: Windows names, faults, the referee, the command."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from servers.simulator import ForgeSimulator, ModelFile
from servers.simulator.faults import KINDS, UnknownFaultError

CAT = {"prompt": "a cat", "width": 64, "height": 64, "steps": 4, "seed": 7}
MANAGE = Path(__file__).parents[2] / "manage.py"


@pytest.fixture
def forge() -> Iterator[ForgeSimulator]:
    with ForgeSimulator(seconds=0.0, load_seconds=0.0) as simulator:
        yield simulator


@pytest.fixture
def slow_forge() -> Iterator[ForgeSimulator]:
    """A batch takes 20 steps of 50 ms here; tests interrupt it or wait for parts of it."""
    with ForgeSimulator(seconds=1.0, load_seconds=0.0) as simulator:
        yield simulator


def post(forge: ForgeSimulator, path: str = "/sdapi/v1/txt2img", **body: Any) -> requests.Response:
    wanted = {**CAT, **body} if path.endswith("txt2img") else body
    return requests.post(forge.url + path, json=wanted, timeout=10)


def get(forge: ForgeSimulator, path: str) -> Any:
    return requests.get(forge.url + path, timeout=10).json()


def progress(forge: ForgeSimulator, task_id: str, **more: Any) -> dict[str, Any]:
    answer = post(forge, "/internal/progress", id_task=task_id, **more)
    found: dict[str, Any] = answer.json()
    return found


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "This never came true."
        time.sleep(0.005)


def wait_until_active(forge: ForgeSimulator, task_id: str) -> None:
    wait_until(lambda: progress(forge, task_id)["active"])


def used_model(answer: requests.Response) -> str:
    return str(json.loads(answer.json()["info"])["sd_model_name"])


def override(checkpoint: str) -> dict[str, Any]:
    return {"override_settings": {"sd_model_checkpoint": checkpoint}}


# --- names of checkpoints ------------------------------------------------------------


def test_windows_forge_lists_backslashes_and_drive_letters() -> None:
    with ForgeSimulator(["Pony/a_v1.safetensors"], windows=True) as forge:
        (listed,) = get(forge, "/sdapi/v1/sd-models")

    assert listed["title"] == "Pony\\a_v1.safetensors"
    assert listed["model_name"] == "Pony_a_v1"
    assert (
        listed["filename"] == "D:\\forge\\webui\\models\\Stable-diffusion\\Pony\\a_v1.safetensors"
    )


def test_windows_forge_silently_drops_a_forward_slash() -> None:
    models = ["Pony/a_v1.safetensors", "root.safetensors"]
    with ForgeSimulator(models, windows=True, seconds=0.0, load_seconds=0.0) as forge:
        right = post(forge, **override("Pony\\a_v1.safetensors"))
        wrong = post(forge, **override("Pony/a_v1.safetensors"))

    assert (used_model(right), used_model(wrong)) == ("a_v1", "root")
    assert wrong.json()["parameters"]["override_settings"] == {}


def test_short_hash_is_unknown_until_the_checkpoint_was_loaded_once(forge: ForgeSimulator) -> None:
    short = ModelFile("Pony/tinyrandom_v1.safetensors").digest[:10]

    before = post(forge, **override(short))
    post(forge, **override("tinyrandom_v1"))
    after = post(forge, **override(short))

    assert (used_model(before), used_model(after)) == ("rootrandom_v1", "tinyrandom_v1")


def test_new_checkpoint_is_listed_only_after_a_refresh(forge: ForgeSimulator) -> None:
    requests.post(f"{forge.url}/__sim__/models", json={"put": "new.safetensors"}, timeout=5)
    before = get(forge, "/sdapi/v1/sd-models")

    post(forge, "/sdapi/v1/refresh-checkpoints")

    after = get(forge, "/sdapi/v1/sd-models")
    assert [item["title"] for item in after if item not in before] == ["new.safetensors"]


# --- pictures ------------------------------------------------------------------------


def test_same_request_gives_the_same_picture_with_its_infotext(forge: ForgeSimulator) -> None:
    first, second, other = (post(forge, seed=seed).json()["images"][0] for seed in (7, 7, 8))

    picture = Image.open(io.BytesIO(base64.b64decode(first)))

    assert first == second != other
    assert picture.size == (64, 64)
    assert "Seed: 7, Size: 64x64" in str(picture.info["parameters"])


def test_picture_of_a_dead_client_is_found_under_the_name_the_job_chose(
    forge: ForgeSimulator,
) -> None:
    naming = {
        "samples_filename_pattern": "sq-1-[generation_number]",
        "save_images_add_number": False,
        "save_to_dirs": False,
        "return_grid": False,
    }
    answer = post(forge, n_iter=2, save_images=True, override_settings=naming).json()

    folder = get(forge, "/sdapi/v1/options")["outdir_txt2img_samples"]
    files = [
        requests.get(f"{forge.url}/file={folder}/sq-1-{number}.png", timeout=5).content
        for number in (1, 2)
    ]

    assert [base64.b64encode(data).decode() for data in files] == answer["images"]


def test_generation_number_of_a_single_picture_takes_the_text_before_it_away(
    forge: ForgeSimulator,
) -> None:
    naming = {
        "samples_filename_pattern": "x-[seed]-[generation_number]",
        "save_images_add_number": False,
        "save_to_dirs": False,
    }
    post(forge, seed=5, save_images=True, override_settings=naming)

    assert forge.engine.outputs.paths[-1].endswith("txt2img-images/x-5.png")


def test_unpinned_options_leak_and_pinned_ones_do_not(forge: ForgeSimulator) -> None:
    post(forge, "/sdapi/v1/options", save_to_dirs=True)

    post(forge, override_settings={"save_to_dirs": False, "grid_save": False})

    options = get(forge, "/sdapi/v1/options")
    assert options["save_to_dirs"] is True
    assert options["grid_save"] is False


KEPT = {"samples_filename_pattern": "sq-1", "save_images_add_number": False, "save_to_dirs": False}


def kept(forge: ForgeSimulator) -> requests.Response:
    return requests.get(f"{forge.url}/file=outputs/txt2img-images/sq-1.png", timeout=5)


def test_kept_pictures_and_posted_options_survive_a_restart_and_leaked_ones_do_not(
    forge: ForgeSimulator,
) -> None:
    post(forge, "/sdapi/v1/options", save_to_dirs=True)
    post(forge, save_images=True, override_settings=KEPT)

    forge.restart()

    options = get(forge, "/sdapi/v1/options")
    assert kept(forge).content.startswith(b"\x89PNG")
    assert options["save_to_dirs"] is True
    assert options["samples_filename_pattern"] == ""


@pytest.mark.parametrize(("flag", "status"), [("nowebui", 404), ("page_login", 401)])
def test_kept_pictures_are_out_of_reach_where_the_page_is(flag: str, status: int) -> None:
    with ForgeSimulator(seconds=0.0, load_seconds=0.0, **{flag: True}) as forge:  # type: ignore[arg-type]
        post(forge, save_images=True, override_settings=KEPT)

        assert kept(forge).status_code == status
        assert forge.engine.outputs.paths


def test_a_request_that_never_begins_is_known_to_nobody(forge: ForgeSimulator) -> None:
    forge.fault("never_begin")
    with ThreadPoolExecutor(1) as threads:
        job = threads.submit(post, forge, force_task_id="t-1")
        wait_until(lambda: forge.engine.faults.left == 0)
        seen = progress(forge, "t-1")
        forge.stop()
        job.exception()

    assert [seen[state] for state in ("active", "queued", "completed")] == [False] * 3
    assert forge.journal.generations == []


# --- progress and interrupt ----------------------------------------------------------


def test_progress_shows_a_preview_from_the_tenth_step_on(slow_forge: ForgeSimulator) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(post, slow_forge, steps=20, force_task_id="t-1")
        wait_until_active(slow_forge, "t-1")
        seen = {"live_preview": None, "progress": 0.0}
        early = progress(slow_forge, "t-1")
        while seen["live_preview"] is None and not seen.get("completed"):
            seen = progress(slow_forge, "t-1")

    assert early["live_preview"] is None
    assert str(seen["live_preview"]).startswith("data:image/png;base64,")
    assert seen["progress"] is not None
    assert 0.5 <= seen["progress"] < 1


def test_interrupt_is_noted_with_the_time_since_the_last_active_poll(
    slow_forge: ForgeSimulator,
) -> None:
    with ThreadPoolExecutor(1) as threads:
        job = threads.submit(post, slow_forge, force_task_id="t-1")
        wait_until_active(slow_forge, "t-1")
        post(slow_forge, "/sdapi/v1/interrupt")
        answer = job.result()

    (interrupt,) = slow_forge.journal.interrupts
    assert answer.status_code == 200
    assert slow_forge.journal.generations[-1].outcome == "interrupted"
    assert interrupt.task_id == "t-1"
    assert interrupt.seconds_since_poll is not None


def test_foreign_job_runs_first_and_never_in_parallel(slow_forge: ForgeSimulator) -> None:
    foreign = slow_forge.foreign(steps=2, seconds=0.2)

    post(slow_forge, force_task_id="t-ours")

    log = get(slow_forge, "/__sim__/log")
    assert [run["task_id"] for run in log["generations"]] == [foreign, "t-ours"]
    assert foreign.startswith("task(")
    assert log["max_parallel"] == 1


# --- faults --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "said"),
    [
        ("error_500_text", 500, "Internal Server Error"),
        ("error_500_json", 500, '"error":"RuntimeError"'),
        ("oom", 500, '"error":"OutOfMemoryError"'),
        ("not_json", 200, "this is not JSON"),
        ("html", 200, "<!doctype html>"),
        ("no_images", 200, '"images":[]'),
    ],
)
def test_fault_spoils_one_answer_and_no_more(
    forge: ForgeSimulator, fault: str, status: int, said: str
) -> None:
    forge.fault(fault, match="cat")

    spared = post(forge, prompt="a dog")
    spoilt = post(forge)
    healed = post(forge)

    assert (spared.status_code, healed.status_code) == (200, 200)
    assert spoilt.status_code == status
    assert said in spoilt.text


def test_failed_run_is_journaled_as_failed(forge: ForgeSimulator) -> None:
    forge.fault("oom")

    post(forge)

    assert [run.outcome for run in forge.journal.generations] == ["failed"]


def test_pictures_can_be_missing_or_no_pictures(forge: ForgeSimulator) -> None:
    forge.fault("fewer_images")
    forge.fault("not_png")

    fewer = post(forge, batch_size=2).json()["images"]
    (broken,) = post(forge).json()["images"]

    assert len(fewer) == 1
    assert not base64.b64decode(broken).startswith(b"\x89PNG")


@pytest.mark.parametrize("fault", ["close_midway", "truncate"])
def test_connection_breaks_but_the_gpu_finishes(forge: ForgeSimulator, fault: str) -> None:
    forge.fault(fault)

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        post(forge)

    wait_until(lambda: forge.journal.generations[-1].outcome == "completed")


def test_dripping_answer_arrives_whole(forge: ForgeSimulator) -> None:
    forge.fault("drip", seconds=0.1)

    assert len(post(forge).json()["images"]) == 1


def test_wrong_model_draws_with_another_checkpoint(forge: ForgeSimulator) -> None:
    forge.fault("wrong_model")

    answer = post(forge, **override("rootrandom_v1"))

    assert used_model(answer) == "tinyrandom_v1"
    assert forge.journal.generations[-1].checkpoint == "Pony/tinyrandom_v1.safetensors"


def test_hanging_run_ignores_an_interrupt_until_reset(slow_forge: ForgeSimulator) -> None:
    slow_forge.engine.seconds = 0.0
    slow_forge.fault("hang")
    with ThreadPoolExecutor(1) as threads:
        job = threads.submit(post, slow_forge, force_task_id="t-1")
        wait_until_active(slow_forge, "t-1")
        post(slow_forge, "/sdapi/v1/interrupt")
        still_active = progress(slow_forge, "t-1")["active"]
        post(slow_forge, "/__sim__/reset")
        broken = job.exception()

    assert still_active
    assert isinstance(broken, requests.ConnectionError)
    assert post(slow_forge).status_code == 200


def test_ignored_interrupt_is_answered_and_has_no_effect(slow_forge: ForgeSimulator) -> None:
    slow_forge.fault("ignore_interrupt")
    with ThreadPoolExecutor(1) as threads:
        job = threads.submit(post, slow_forge, force_task_id="t-1")
        wait_until_active(slow_forge, "t-1")
        answer = post(slow_forge, "/sdapi/v1/interrupt")
        job.result()

    assert answer.json() == {}
    assert slow_forge.journal.interrupts[0].obeyed is False
    assert slow_forge.journal.generations[-1].outcome == "completed"


def test_slow_load_keeps_the_job_at_its_beginning(forge: ForgeSimulator) -> None:
    forge.fault("slow_load", seconds=0.3)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(post, forge, force_task_id="t-1")
        wait_until_active(forge, "t-1")
        state = get(forge, "/sdapi/v1/progress")["state"]

    assert state["job_count"] == -1


def test_progress_route_can_fail_and_hang(forge: ForgeSimulator) -> None:
    forge.fault("progress_500")
    forge.fault("progress_hang", seconds=5)

    failed = post(forge, "/internal/progress", id_task="t-1")

    assert failed.status_code == 500
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{forge.url}/internal/progress", json={}, timeout=0.1)


def test_tasks_can_be_forgotten(forge: ForgeSimulator) -> None:
    post(forge, force_task_id="t-1")

    forge.fault("forget_tasks")

    assert not progress(forge, "t-1")["completed"]


def test_refusing_forge_comes_back_on_the_same_port(forge: ForgeSimulator) -> None:
    post(forge, "/__sim__/faults", fault="refuse", seconds=0.2)

    wait_until(lambda: not answers(forge))
    wait_until(lambda: answers(forge))

    assert post(forge).status_code == 200


def test_dying_forge_restarts_with_its_journal_but_no_memory(forge: ForgeSimulator) -> None:
    forge.fault("die")
    with pytest.raises(requests.ConnectionError):
        post(forge, force_task_id="t-1")
    wait_until(lambda: not answers(forge))

    forge.restart()

    assert not progress(forge, "t-1")["active"]
    assert [run.task_id for run in forge.journal.generations] == ["t-1"]


def answers(forge: ForgeSimulator) -> bool:
    try:
        return requests.get(f"{forge.url}/internal/ping", timeout=5).ok
    except requests.ConnectionError:
        return False


def test_every_fault_can_be_asked_for_and_no_other(forge: ForgeSimulator) -> None:
    for kind in KINDS.keys() - {"refuse"}:
        forge.fault(kind, match="never drawn")
    refused = post(forge, "/__sim__/faults", fault="earthquake")

    assert refused.status_code == 400
    assert "earthquake" in refused.json()["detail"]
    with pytest.raises(UnknownFaultError):
        forge.fault("oom", times=0)


# --- the wire and the command --------------------------------------------------------


def test_connection_is_kept_for_further_requests(forge: ForgeSimulator) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", forge.port, timeout=5)
    sockets = set()
    for _ in range(2):
        connection.request("GET", "/internal/ping")
        assert connection.getresponse().read() == b"{}"
        sockets.add(connection.sock)

    assert len(sockets) == 1
    assert None not in sockets
    connection.close()


def run_command(*arguments: str) -> subprocess.Popen[str]:
    """The command, in a place where no database answers."""
    environment = {**os.environ, "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}
    line = [sys.executable, str(MANAGE), "runforgesim", *arguments]
    return subprocess.Popen(
        line, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_command_says_its_address_and_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    log = tmp_path / "journal.jsonl"
    with run_command("--port", "0", "--name", "Laptop", "--seconds", "0", "--log", str(log)) as it:
        assert it.stdout is not None
        said = it.stdout.readline()
        url = said.rsplit(" ", 1)[1].strip()
        answer = requests.post(f"{url}/sdapi/v1/txt2img", json=CAT, timeout=10)
        it.send_signal(signal.SIGTERM)

    assert said.startswith("Laptop listens on http://127.0.0.1:")
    assert answer.status_code == 200
    assert it.returncode == 0
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()] == ["start", "end"]


def test_command_starts_as_its_switches_say() -> None:
    switches = ("--no-api", "--gradio-auth", "me:sesame", "--flavour", "neo", "--page-shift", "3")
    with run_command("--port", "0", *switches, "--page-without", "txt2img_styles") as it:
        assert it.stdout is not None
        url = it.stdout.readline().rsplit(" ", 1)[1].strip()
        with requests.Session() as session:
            session.post(f"{url}/login", data={"username": "me", "password": "sesame"}, timeout=10)
            config = session.get(f"{url}/config", timeout=10).json()
        api = requests.get(f"{url}/sdapi/v1/options", timeout=10)
        it.send_signal(signal.SIGTERM)

    assert api.status_code == 404
    assert config["username"] == "me"
    assert 258 in [function["id"] for function in config["dependencies"]]
    elem_ids = [component["props"].get("elem_id") for component in config["components"]]
    assert "setting_sd_model_checkpoint" in elem_ids
    assert "txt2img_styles" not in elem_ids


@pytest.mark.parametrize(
    ("switches", "said"),
    [
        (("--api-auth", "nobody"), "api_auth is written as user:password."),
        (("--startup-seconds", "-1"), "startup_seconds cannot be negative."),
    ],
)
def test_command_refuses_impossible_switches_in_one_sentence(
    switches: tuple[str, ...], said: str
) -> None:
    with run_command("--port", "0", *switches) as it:
        _, complaint = it.communicate(timeout=20)

    assert it.returncode == 1
    assert complaint == f"CommandError: {said}\n"


def test_command_on_a_taken_port_says_so_in_one_sentence(forge: ForgeSimulator) -> None:
    with run_command("--port", str(forge.port)) as it:
        _, complaint = it.communicate(timeout=20)

    assert it.returncode == 1
    assert complaint.startswith(f"CommandError: Cannot listen on 127.0.0.1:{forge.port}: ")
    assert len(complaint.splitlines()) == 1


def test_command_dies_without_a_goodbye_when_told_to() -> None:
    with run_command("--port", "0", "--seconds", "0", "--load-seconds", "0") as it:
        assert it.stdout is not None
        url = it.stdout.readline().rsplit(" ", 1)[1].strip()
        requests.post(f"{url}/__sim__/faults", json={"fault": "die"}, timeout=10)
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{url}/sdapi/v1/txt2img", json=CAT, timeout=10)

    assert it.returncode == 1
