"""The simulator's page answers as that of a real Forge was recorded to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import pytest
import requests

from servers.simulator import ForgeSimulator, ModelFile
from tests.contracts import recordings
from tests.contracts.page_client import (
    A_CAT,
    PageClient,
    heard_later,
    message_differences,
    messages,
    output_differences,
)
from tests.contracts.recordings import eventually

DRAWN = {
    "gradio-txt2img-after-checkpoint-change": 0.0,
    "gradio-txt2img-bad-sampler": 0.0,
    "gradio-txt2img-batch2": 0.0,
    "gradio-txt2img-no-task-id": 0.0,
    "gradio-txt2img-ok": 1.0,
    "gradio-txt2img-override-model": 0.0,
    "gradio-txt2img-override-model-name": 0.0,
    "gradio-txt2img-steps-0": 0.0,
    "gradio-txt2img-width-70": 0.0,
}
"""One picture after the other; seconds are chosen for the test."""

PONY = "Pony/tinyrandom_v1.safetensors"


@contextmanager
def page_as_recorded(*, api: bool = False, seconds: float = 0.0) -> Iterator[ForgeSimulator]:
    """A simulator with the recorded models, after one picture of the first."""
    models = [ModelFile(path, sha, hashed=True) for path, sha in recordings.MODEL_HASHES.items()]
    with ForgeSimulator(models, seconds=0.0, load_seconds=0.0, api=api) as forge:
        PageClient(forge).draw("task(before)")
        forge.engine.seconds = seconds
        yield forge


def state_of(forge: ForgeSimulator, task_id: str) -> str:
    answer = progress_of(forge, task_id)
    return next((word for word in ("active", "queued", "completed") if answer[word]), "unknown")


def progress_of(forge: ForgeSimulator, task_id: str) -> dict[str, Any]:
    body = {"id_task": task_id}
    answer = requests.post(f"{forge.url}/internal/progress", json=body, timeout=5)
    return dict(answer.json())


def wait_for_state(forge: ForgeSimulator, task_id: str, state: str) -> None:
    assert not eventually(lambda: [] if state_of(forge, task_id) == state else [state])


def wait_to_see(expected: Any, look: Callable[[], Any]) -> None:
    def differs() -> list[str]:
        found = look()
        return [] if found == expected else [f"recorded {expected}, found {found}"]

    assert eventually(differs) == []


def distinct(seen: Iterable[Any]) -> list[Any]:
    """What was seen, without looks at which nothing had changed."""
    return [key for key, _ in groupby(seen)]


def queue_size(forge: ForgeSimulator) -> Any:
    return requests.get(f"{forge.url}/queue/status", timeout=5).json()["queue_size"]


# --- the page itself -----------------------------------------------------------------


def the_page_has_the_recorded_inputs_and_functions() -> None:
    recording = recordings.load("gradio-config-txt2img-dependency")
    with page_as_recorded() as forge:
        page = PageClient(forge)
        components = {it["id"]: it for it in page.config["components"]}
        top_level = page.config

    assert page.function("txt2img") == recording["dependency"]
    assert [described(components[number]) for number in page.function("txt2img")["inputs"]] == [
        {key: it[key] for key in it if key != "position"} | no_state(it)
        for it in recording["inputs"]
    ]
    for output in recording["outputs"]:
        component = components[output["component_id"]]
        assert component["type"] == output["type"]
        assert component["props"]["elem_id"] == output["elem_id"]
    for stop in recording["interrupt_dependencies"]:
        function = page.function(stop["api_name"])
        assert {key: function[key] for key in stop} == stop
    assert recording["config_top_level"].keys() <= top_level.keys()
    for key in ("version", "protocol", "enable_queue"):
        assert top_level[key] == recording["config_top_level"][key]


def no_state(recorded: dict[str, Any]) -> dict[str, Any]:
    """States are trimmed in the recording."""
    return {"value": None} if recorded["type"] == "state" else {}


def described(component: dict[str, Any]) -> dict[str, Any]:
    props = component["props"]
    return {
        "component_id": component["id"],
        "type": component["type"],
        "elem_id": props.get("elem_id"),
        "label": props["label"],
        "value": None if component["type"] == "state" else props.get("value"),
    }


def an_error_of_a_join_is_told_as_recorded() -> None:
    recording = recordings.load("gradio-join-errors")
    with page_as_recorded() as forge:
        page = PageClient(forge)
        whole = page.data({"0": "task(short)"})
        for exchange in recording["exchanges"]:
            body = exchange["request"]["body"]
            data = whole[:-1] if body["data"] == "list of 136" else whole
            session = {"session_hash": page.session_hash} if "session_hash" in body else {}
            answer = page.post("/queue/join", {**body, "data": data, **session})
            assert answer.status_code == exchange["response"]["status"]
            if answer.status_code != 200:
                assert answer.json() == exchange["response"]["body"]

        heard = page.hear()

    assert message_differences(recording["sse_events_of_the_first (data one short)"], heard) == []


def a_picture_is_fetched_by_the_address_in_the_answer() -> None:
    recording = recordings.load("gradio-result-file-fetch")
    with page_as_recorded() as forge:
        (item,) = PageClient(forge).draw("task(t)")[-2]["output"]["data"][0]

        answers = [
            requests.get(address, timeout=5)
            for address in (item["image"]["url"], f"{forge.url}/file={item['image']['path']}")
        ]

    for exchange, answer in zip(recording["exchanges"], answers, strict=True):
        assert recordings.differences(exchange, answer, running=False) == []
        assert answer.headers["accept-ranges"] == "bytes"


def a_program_calls_by_name_and_gets_addresses_that_lead_nowhere() -> None:
    recording = recordings.load("gradio-call-named-endpoint")
    with page_as_recorded() as forge:
        page = PageClient(forge)
        data = page.data({**A_CAT, "0": "task(named)"})
        joined = page.post("/call/txt2img", {"data": data})
        event_id = joined.json()["event_id"]
        stream = requests.get(f"{forge.url}/call/txt2img/{event_id}", timeout=30)
        kind, text = stream.text.rstrip().split("\n")
        output = json.loads(text.removeprefix("data: "))
        found = requests.get(output[0][0]["image"]["url"], timeout=5)

    assert kind == f"event: {recording['sse_events'][0]['event']}"
    assert output_differences(recording["sse_events"][0]["data"], output) == []
    assert found.status_code == 404


def a_direct_run_is_answered_with_its_outcome() -> None:
    recorded = recordings.load("gradio-run-direct")["exchange"]["response"]["body"]
    with page_as_recorded() as forge:
        page = PageClient(forge)
        answer = page.post("/run/txt2img", {"data": page.data({**A_CAT, "0": "task(d)"})}).json()

    assert answer.keys() == recorded.keys()
    assert output_differences(recorded["data"], answer["data"]) == []


# --- the selected checkpoint ---------------------------------------------------------


def the_checkpoint_is_changed_for_everybody() -> None:
    recording = recordings.load("gradio-checkpoint-change")
    with page_as_recorded() as forge:
        heard = PageClient(forge).call("checkpoint_change", [PONY])
        PageClient(forge).draw("task(other-session)")
        used = forge.journal.generations[-1].checkpoint

    assert message_differences(recording["sse_events"], heard) == []
    assert used == PONY


def an_unknown_checkpoint_is_taken_without_a_word() -> None:
    recording = recordings.load("gradio-checkpoint-change-unknown")
    with page_as_recorded() as forge:
        heard = PageClient(forge).call("checkpoint_change", ["nosuch.safetensors"])
        PageClient(forge).draw("task(t)")
        used = forge.journal.generations[-1].checkpoint

    assert message_differences(recording["sse_events"], heard) == []
    assert used == "rootrandom_v1.safetensors"


# --- interrupting, waiting, listening ------------------------------------------------


def an_interrupt_gives_half_a_picture_in_the_temporary_folder() -> None:
    stopped = recordings.load("gradio-txt2img-interrupted")
    stop = recordings.load("gradio-interrupt")
    with page_as_recorded(seconds=20.0) as forge:
        page = PageClient(forge)
        page.start("task(sq-gint)", txt2img_steps=20)
        thread, heard = heard_later(page)
        assert not eventually(
            lambda: [] if (progress_of(forge, "task(sq-gint)")["progress"] or 0) > 0 else ["early"]
        )
        answer = PageClient(forge).call("interrupt_function", [])
        thread.join()

    assert message_differences(stop["sse_events"], answer) == []
    assert message_differences(stopped["sse_events"], heard) == []


def two_joins_are_drawn_one_after_the_other() -> None:
    recording = recordings.load("gradio-two-joins")
    with page_as_recorded(seconds=0.8) as forge:
        first, second = PageClient(forge), PageClient(forge)
        first.start("task(sq-first)", txt2img_steps=6)
        listening = [heard_later(first)]
        wait_for_state(forge, "task(sq-first)", "active")
        second.start("task(sq-second)", txt2img_steps=3)
        listening.append(heard_later(second))
        for expected in distinct(phase(it) for it in recording["polls"]):
            wait_to_see(expected, lambda: phase(poll_of(forge)))
        for thread, _ in listening:
            thread.join()

    for (_, heard), name in zip(listening, ("first", "second"), strict=True):
        assert message_differences(recording["sse_events"][name], heard) == []


def poll_of(forge: ForgeSimulator) -> dict[str, Any]:
    return {
        "first": progress_of(forge, "task(sq-first)"),
        "second": progress_of(forge, "task(sq-second)"),
        "pending_tasks": requests.get(f"{forge.url}/internal/pending-tasks", timeout=5).json(),
        "gradio_queue_status": requests.get(f"{forge.url}/queue/status", timeout=5).json(),
    }


def phase(poll: dict[str, Any]) -> dict[str, Any]:
    """What a look at two jobs says, but for how far they are."""
    words = {
        name: [poll[name][key] for key in ("active", "queued", "completed", "textinfo")]
        for name in ("first", "second")
    }
    return {**words, "pending": poll["pending_tasks"], "queue": poll["gradio_queue_status"]}


def a_closed_stream_lets_a_running_job_go_on_and_tells_it_nothing_more() -> None:
    states = recordings.load("gradio-sse-disconnect")
    with page_as_recorded(seconds=0.5) as forge:
        page = PageClient(forge)
        page.start("task(t)")
        with page.open() as stream:
            next(messages(stream))
            wait_for_state(forge, "task(t)", "active")
        for _, state in states["states_after_closing_sse_by_internal_progress"]:
            wait_for_state(forge, "task(t)", state)

        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            page.hear()

        assert forge.journal.generations[-1].outcome == "completed"


def a_closed_stream_takes_a_waiting_job_away() -> None:
    recording = recordings.load("gradio-sse-dropped-while-queued")
    with page_as_recorded(seconds=0.5) as forge:
        a, b, c = (PageClient(forge) for _ in range(3))
        a.start("task(a)", txt2img_seed=991, txt2img_steps=5)
        wait_for_state(forge, "task(a)", "active")
        b.start("task(b)", txt2img_seed=992)
        with b.open() as stream:
            assert next(messages(stream))["msg"] == "estimation"
        assert not eventually(lambda: [] if queue_size(forge) == 0 else ["b waits"])
        c.start("task(c)", txt2img_seed=993)
        for seen in recording["transitions"]:
            for name in "abc":
                wait_for_state(forge, f"task({name})", seen[name])

        heard_c, heard_a = c.hear(), a.hear()

    assert message_differences(recording["late_sse_of_c"], heard_c) == []
    assert message_differences(recording["late_sse_of_a"], heard_a) == []
    assert "task(b)" not in [run.task_id for run in forge.journal.generations]


# --- beside the API ------------------------------------------------------------------


def page_and_api_take_turns() -> None:
    recording = recordings.load("ui-and-api-mixed")
    with page_as_recorded(api=True, seconds=0.8) as forge, ThreadPoolExecutor(1) as threads:
        for task_id in ("t-i2ibad", "t-i2iurl"):
            body = {"prompt": "", "init_images": ["not an image"], "force_task_id": task_id}
            requests.post(f"{forge.url}/sdapi/v1/img2img", json=body, timeout=5)
        ui1, ui2 = PageClient(forge), PageClient(forge)
        ui1.start("task(ui-1)", txt2img_steps=5)
        wait_for_state(forge, "task(ui-1)", "active")
        request = recording["api"][0]["request"]
        drawn = threads.submit(recordings.send, forge.url, request, "")
        wait_for_state(forge, "t-api-behind-ui", "queued")
        ui2.start("task(ui-2)", txt2img_steps=3)
        for expected in distinct(mixed_phase(it) for it in recording["transitions"]):
            wait_to_see(expected, lambda: mixed_phase_of(forge))
        answer = drawn.result()
        kinds = [[it["msg"] for it in page.hear()] for page in (ui1, ui2)]

    assert recordings.differences(recording["api"][0], answer, running=False) == []
    assert kinds == [["estimation", "process_starts", "process_completed", "close_stream"]] * 2


def mixed_phase_of(forge: ForgeSimulator) -> dict[str, Any]:
    tasks = {"ui1": "task(ui-1)", "api": "t-api-behind-ui", "ui2": "task(ui-2)"}
    found: dict[str, Any] = {
        name: [state_of(forge, task_id), progress_of(forge, task_id)["textinfo"]]
        for name, task_id in tasks.items()
    }
    overall = requests.get(f"{forge.url}/sdapi/v1/progress", timeout=5).json()["state"]
    found["state_job"] = overall["job"]
    found["pending"] = requests.get(f"{forge.url}/internal/pending-tasks", timeout=5).json()
    return found


def mixed_phase(seen: dict[str, Any]) -> dict[str, Any]:
    """A recorded transition, but for how far each job is."""
    words = {name: [seen[name][0], seen[name][2]] for name in ("ui1", "api", "ui2")}
    return {**words, "state_job": seen["state_job"], "pending": seen["pending"]}


def an_api_job_right_behind_the_pages_can_be_interrupted() -> None:
    recording = recordings.load("race-ui-job-then-api-job")
    for trial in recording["trials"]:
        stops = trial["interrupted_flag_true_samples"] > 0
        with page_as_recorded(api=True, seconds=0.2) as forge, ThreadPoolExecutor(1) as threads:
            PageClient(forge).start("task(ui)")
            wait_for_state(forge, "task(ui)", "active")
            body = {"prompt": "a cat", "width": 64, "height": 64, "force_task_id": "t-api"}
            job = threads.submit(requests.post, f"{forge.url}/sdapi/v1/txt2img", json=body)
            wait_for_state(forge, "t-api", "active")
            if stops:
                requests.post(f"{forge.url}/sdapi/v1/interrupt", timeout=5)
            images = job.result().json()["images"]

        assert len(images) == trial["images"]
        outcome = "interrupted" if stops else "completed"
        assert forge.journal.generations[-1].outcome == outcome


STORIES: dict[str, Callable[[], None]] = {
    "gradio-config-txt2img-dependency": the_page_has_the_recorded_inputs_and_functions,
    "gradio-join-errors": an_error_of_a_join_is_told_as_recorded,
    "gradio-result-file-fetch": a_picture_is_fetched_by_the_address_in_the_answer,
    "gradio-call-named-endpoint": a_program_calls_by_name_and_gets_addresses_that_lead_nowhere,
    "gradio-run-direct": a_direct_run_is_answered_with_its_outcome,
    "gradio-checkpoint-change": the_checkpoint_is_changed_for_everybody,
    "gradio-checkpoint-change-unknown": an_unknown_checkpoint_is_taken_without_a_word,
    "gradio-interrupt": an_interrupt_gives_half_a_picture_in_the_temporary_folder,
    "gradio-txt2img-interrupted": an_interrupt_gives_half_a_picture_in_the_temporary_folder,
    "gradio-two-joins": two_joins_are_drawn_one_after_the_other,
    "gradio-sse-disconnect": a_closed_stream_lets_a_running_job_go_on_and_tells_it_nothing_more,
    "gradio-sse-dropped-while-queued": a_closed_stream_takes_a_waiting_job_away,
    "ui-and-api-mixed": page_and_api_take_turns,
    "race-ui-job-then-api-job": an_api_job_right_behind_the_pages_can_be_interrupted,
}

COVERED = {*DRAWN, *STORIES}


@pytest.mark.parametrize("name", DRAWN)
def test_page_draws_as_recorded(name: str) -> None:
    recording = recordings.load(name)
    wanted = recording["join"]["request"]["overrides_by_elem_id_or_position"]
    with page_as_recorded(seconds=DRAWN[name]) as forge:
        page = PageClient(forge)
        if name.endswith("after-checkpoint-change"):
            page.call("checkpoint_change", [PONY])
        assert page.join("txt2img", page.data(wanted)).status_code == 200
        thread, heard = heard_later(page)
        for share in shares(recording) if DRAWN[name] else ():
            wait_to_see((True, share), lambda: share_of(forge, wanted["0"]))
        thread.join()

        assert message_differences(recording["sse_events"], heard) == []
        assert state_of(forge, wanted["0"]) == ("completed" if wanted["0"] else "unknown")


def shares(recording: dict[str, Any]) -> list[float]:
    """Each share of the work that was seen while the job was active, once."""
    seen = [it["progress"] for it in recording["internal_progress_while_running"] if it["active"]]
    return list(dict.fromkeys(seen))


def share_of(forge: ForgeSimulator, task_id: str) -> tuple[bool, float | None]:
    progress = progress_of(forge, task_id)
    return progress["active"], progress["progress"]


@pytest.mark.parametrize("name", STORIES)
def test_page_behaves_as_in_the_recorded_story(name: str) -> None:
    STORIES[name]()
