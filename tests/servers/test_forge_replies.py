"""What a real Forge answered, read by the client."""

from __future__ import annotations

import base64
import dataclasses
import json

import pytest

from servers.forge import (
    ForgeBadReply,
    ForgeConnectionLost,
    ForgeError,
    ForgeFailed,
    ForgeNotReady,
    ForgePoisoned,
    ForgeRejected,
    ForgeUnauthorized,
)
from servers.forge_refusals import Reply, require_answer
from servers.forge_replies import (
    read_activity,
    read_checkpoints,
    read_generation,
    read_loras,
    read_names,
    read_progress,
)
from tests.servers.recordings import ADDRESS, FOLDER, exchanges, load, picture, replies, reply

GENERATIONS = ("/sdapi/v1/txt2img", "/sdapi/v1/img2img")
PLAIN_API = sorted(
    path.stem
    for path in FOLDER.glob("*.json")
    if path.stem != "INDEX" and load(path.stem).get("server_flags") == "--api"
)


def a_generation(**changes: object) -> Reply:
    """The answer to one 64x64 picture, with parts of it replaced."""
    ((_, response),) = exchanges("txt2img-minimal-complete-image")
    body = {**response["body"], **changes}
    return Reply(ADDRESS, 200, json.dumps(body).encode())


def a_refusal(status: int, body: object) -> Reply:
    return Reply(ADDRESS, status, json.dumps(body).encode())


def wrong(name: str) -> ForgeError:
    """The error that the last generation of a recording means."""
    answers = [item for path in GENERATIONS for item in replies(name, path) if item.status != 200]
    with pytest.raises(ForgeError) as caught:
        read_generation(answers[-1], expected_images=1, settings=["no_such_setting"])
    return caught.value


def successes(name: str) -> list[tuple[int, Reply]]:
    """Each generation of a recording that ended well, with how many pictures were asked for."""
    found = []
    for request, response in exchanges(name, GENERATIONS[0]) + exchanges(name, GENERATIONS[1]):
        asked = request.get("body") or {}
        if response["status"] == 200 and asked.get("send_images") is not False:
            wanted = asked.get("batch_size", 1) * asked.get("n_iter", 1)
            found.append((wanted, reply(response)))
    return found


@pytest.mark.parametrize("name", [name for name in PLAIN_API if successes(name)])
def test_every_recorded_success_is_a_generation(name: str) -> None:
    stopped = "int" in name or "skip" in name

    for wanted, answer in successes(name):
        drawn = read_generation(answer, expected_images=wanted, may_be_partial=stopped)

        assert stopped or len(drawn.images) == wanted
        assert len(drawn.images) == len(drawn.seeds) == len(drawn.infotexts)
        assert drawn.model_name
        assert drawn.model_hash


def test_a_picture_is_kept_byte_for_byte() -> None:
    (answer,) = replies("txt2img-minimal-complete-image")

    drawn = read_generation(answer, expected_images=1)

    assert drawn.images == (base64.b64decode(picture()),)
    assert drawn.seeds == (1850642548,)
    assert drawn.model_name == "rootrandom_v1"
    assert "Seed: 1850642548" in drawn.infotexts[0]


def test_a_data_uri_in_front_of_a_picture_is_understood() -> None:
    answer = a_generation(images=[f"data:image/png;base64,{picture()}"])

    drawn = read_generation(answer, expected_images=1)

    assert drawn.images[0].startswith(b"\x89PNG")


def test_the_grid_in_front_is_dropped_with_its_infotext() -> None:
    (answer,) = replies("txt2img-save-true-batch2-grid")

    drawn = read_generation(answer, expected_images=2)

    assert len(drawn.images) == 2
    assert drawn.seeds == (1, 2)
    assert "Seed: 2," in drawn.infotexts[1]


def test_pictures_that_an_extension_appended_are_dropped() -> None:
    answer = a_generation(images=[picture(), picture(), picture()])

    assert len(read_generation(answer, expected_images=1).images) == 1


def test_an_interrupted_batch_holds_what_was_drawn() -> None:
    answer = replies("interrupt-mid-first-of-n-iter-3", GENERATIONS[0])[0]

    drawn = read_generation(answer, expected_images=3, may_be_partial=True)

    assert len(drawn.images) == len(drawn.seeds) == 1


def test_missing_pictures_are_a_bad_reply_when_nobody_interrupted() -> None:
    answer = replies("interrupt-during-model-load", GENERATIONS[0])[0]

    with pytest.raises(ForgeBadReply, match="0 of 1"):
        read_generation(answer, expected_images=1)


BROKEN = {
    "no list": {"images": "x"},
    "no text": {"images": [7]},
    "no base64": {"images": ["<html>"]},
    "truncated": {"images": [picture()[:-40]]},
    "with a tail": {"images": [base64.b64encode(base64.b64decode(picture()) + b"x").decode()]},
    "a JPEG": {"images": [base64.b64encode(b"\xff\xd8\xff\xe0 a JPEG").decode()]},
    "info is no JSON": {"info": "<b>"},
    "info is deep": {"info": '{"a":' + "[" * 90 + "]" * 90 + "}"},
    "no info": {"info": None},
    "no seeds": {"info": "{}"},
    "wild seeds": {"info": json.dumps({"all_seeds": [2**70]})},
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_success_is_a_bad_reply(changes: dict[str, object]) -> None:
    with pytest.raises(ForgeBadReply) as caught:
        read_generation(a_generation(**changes), expected_images=1)

    assert ADDRESS in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>login</html>", b'{"images": [', b"[" * 100_000, b"[" + b"{}," * 2_000_000],
    ids=["empty", "html", "cut", "deep", "wide"],
)
def test_what_is_no_json_is_a_bad_reply(body: bytes) -> None:
    with pytest.raises(ForgeBadReply):
        read_generation(Reply(ADDRESS, 200, body), expected_images=1)


def test_info_is_made_fit_for_the_database() -> None:
    info = json.dumps({"prompt": "a\0cat\ud800", "cfg": float("nan"), "all_seeds": [1]})

    drawn = read_generation(a_generation(info=info), expected_images=1)

    assert drawn.info == {"prompt": "acat?", "cfg": None, "all_seeds": [1]}


REJECTED = [
    "img2img-no-init",
    "img2img-bad-base64",
    "img2img-http-url-init",
    "txt2img-script-name-unknown",
    "txt2img-alwayson-unknown",
    "txt2img-override-unknown-setting",
    "txt2img-wrong-type-steps",
    "txt2img-body-malformed-json",
    "txt2img-enable-hr-unknown-upscaler",
    "txt2img-refiner-unknown",
]


@pytest.mark.parametrize("name", REJECTED)
def test_refused_parameters_are_permanent(name: str) -> None:
    error = wrong(name)

    assert isinstance(error, ForgeRejected)
    assert error.permanent


FAILED = [
    "hires-fix-without-hr-additional-modules",
    "img2img-empty-init-list",
    "progress-after-error",
    "txt2img-batch-size-0",
    "txt2img-null-prompt",
    "txt2img-steps-0",
    "txt2img-steps-negative",
    "txt2img-width-0",
]


@pytest.mark.parametrize("name", FAILED)
def test_an_error_of_the_run_carries_forges_own_words(name: str) -> None:
    said = replies(name, GENERATIONS[0]) + replies(name, GENERATIONS[1])

    error = wrong(name)

    assert type(error) is ForgeFailed
    assert not error.permanent
    assert error.error_class == json.loads(said[0].body)["error"]
    assert error.error_class in str(error)


def test_a_key_error_about_something_else_is_a_failure_of_the_run() -> None:
    answer = a_refusal(500, {"error": "KeyError", "detail": "", "message": "'lora_te_text'"})

    with pytest.raises(ForgeFailed):
        read_generation(answer, expected_images=1, settings=["sd_model_checkpoint"])


def test_the_jobs_after_a_failed_checkpoint_load_find_the_server_poisoned() -> None:
    assert isinstance(wrong("broken-checkpoint"), ForgePoisoned)
    assert isinstance(wrong("checkpoint-file-deleted"), ForgePoisoned)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"detail": "Not authenticated"}, ForgeUnauthorized),
        (403, {}, ForgeUnauthorized),
        (404, {"detail": "Not Found"}, ForgeNotReady),
        (404, {"detail": "Script not found"}, ForgeRejected),
        (302, {}, ForgeNotReady),
        (503, "busy", ForgeNotReady),
        (502, "bad gateway", ForgeConnectionLost),
        (413, "<html>", ForgeRejected),
        (405, {"detail": "Method Not Allowed"}, ForgeBadReply),
        (500, "Internal Server Error", ForgeFailed),
    ],
)
def test_each_status_means_one_error(status: int, body: object, error: type[ForgeError]) -> None:
    with pytest.raises(error):
        read_generation(a_refusal(status, body), expected_images=1)


def test_a_lost_forge_behind_a_proxy_is_not_ready_for_a_plain_question() -> None:
    with pytest.raises(ForgeNotReady):
        require_answer(a_refusal(502, "bad gateway"))


def test_forges_words_are_cut_to_one_printable_line() -> None:
    shout = {"error": "E\x1b[31m", "message": "first\r\nGET /evil " + "x" * 100_000}

    with pytest.raises(ForgeFailed) as caught:
        read_generation(a_refusal(500, shout), expected_images=1)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 900


def test_a_checkpoints_name_is_its_title_without_exactly_its_hash() -> None:
    hashed, in_folder = read_checkpoints(replies("get-sd-models")[0])
    never_loaded = read_checkpoints(replies("get-sd-models-one-never-loaded")[0])

    assert hashed.name == "rootrandom_v1.safetensors"
    assert in_folder.name == "Pony/tinyrandom_v1.safetensors"
    assert any(not item.hash and item.name == item.title for item in never_loaded)


def test_brackets_that_belong_to_a_file_name_stay() -> None:
    (first, _) = read_checkpoints(replies("get-sd-models")[0])

    odd = dataclasses.replace(first, title="x [v2].safetensors [de30aa40de]")

    assert odd.name == "x [v2].safetensors"


def test_loras_and_samplers_are_listed_by_name() -> None:
    loras = read_loras(replies("get-loras")[0])
    samplers = read_names(replies("get-samplers")[0], "name")
    schedulers = read_names(replies("get-schedulers")[0], "label")

    assert loras[0].name == "fakestyle_v1"
    assert "DPM++ 2M" in samplers
    assert "Karras" in schedulers


def test_every_recorded_progress_is_one_of_four_states() -> None:
    seen = {
        read_progress(answer).state
        for name in PLAIN_API
        for answer in replies(name, "/internal/progress")
        if answer.status == 200
    }

    assert seen == {"active", "queued", "completed", "unknown"}


def test_a_running_task_tells_its_share_and_a_preview() -> None:
    answers = replies("progress-while-running", "/internal/progress")

    steps = [read_progress(answer) for answer in answers]

    assert [step.fraction for step in steps] == sorted(step.fraction for step in steps)
    assert steps[-1].state == "completed"
    assert any(step.preview and step.preview.startswith(b"\x89PNG") for step in steps)


def test_numbers_that_make_no_sense_are_left_out() -> None:
    answer = b'{"active": true, "progress": 7, "eta": NaN, "id_live_preview": "x"}'

    progress = read_progress(Reply(ADDRESS, 200, answer))

    assert (progress.fraction, progress.eta, progress.preview_id) == (1.0, None, -1)


def test_a_loading_checkpoint_counts_as_busy() -> None:
    loading = replies("interrupt-during-model-load", "/sdapi/v1/progress")[0]
    idle = replies("get-progress-idle-skip-image")[0]

    assert read_activity(loading).busy
    assert not read_activity(idle).busy


def test_an_interrupt_stays_visible_after_its_job() -> None:
    after = replies("interrupt-mid-job", "/sdapi/v1/progress")[-1]

    assert read_activity(after).stopped
    assert not read_activity(after).busy


def test_something_else_that_answers_json_is_not_taken_for_a_forge() -> None:
    with pytest.raises(ForgeBadReply):
        read_activity(Reply(ADDRESS, 200, b'{"state": "fine"}'))
