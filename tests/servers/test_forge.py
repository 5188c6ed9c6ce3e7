"""Stories between the client and a Forge, over real HTTP."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Callable

import pytest

from servers.forge import (
    Credentials,
    ForgeBadReply,
    ForgeClient,
    ForgeConnectionLost,
    ForgeError,
    ForgeNotReady,
    ForgeRejected,
    ForgeStalled,
    ForgeUnauthorized,
    ForgeUnreachable,
    Generation,
    Progress,
    Timing,
)
from tests.servers.recordings import exchanges
from tests.servers.stand_in import (
    ACTIVE,
    BUSY,
    NOBODYS,
    QUEUED,
    StandIn,
    a_generation,
    answer_bytes,
    answer_json,
    hang_up,
)

TXT2IMG = "/sdapi/v1/txt2img"
INTERRUPT = "/sdapi/v1/interrupt"
TASK = "sq-88615c9d-1"


def go_on(progress: Progress | None) -> bool:
    return False


def draw(client: ForgeClient, on_progress: Callable[[Progress | None], bool] = go_on) -> Generation:
    return client.generate(
        "txt2img", {"prompt": "a cat"}, TASK, expected_images=1, on_progress=on_progress
    )


class Watcher:
    """Remembers what it was told; after `rounds` answered polls it ends or stops the drawing."""

    def __init__(self, forge: StandIn, *, rounds: int, stop: bool = False) -> None:
        self.forge, self.rounds, self.stop = forge, rounds, stop
        self.told: list[Progress | None] = []

    def __call__(self, progress: Progress | None) -> bool:
        self.told.append(progress)
        over = len([step for step in self.told if self.counts(step)]) >= self.rounds
        if over and not self.stop:
            self.forge.drawn.set()
        return over and self.stop

    def counts(self, progress: Progress | None) -> bool:
        return progress is not None


class BlindWatcher(Watcher):
    """The same, where polls are not expected to be answered."""

    def counts(self, progress: Progress | None) -> bool:
        return progress is None


# --- drawing -------------------------------------------------------------------------


def test_a_drawing_is_followed_to_its_picture(forge: StandIn, forge_client: ForgeClient) -> None:
    forge.is_drawing(ACTIVE)
    watcher = Watcher(forge, rounds=3)

    drawn = draw(forge_client, watcher)

    assert len(drawn.images) == 1
    assert {step.fraction for step in watcher.told if step} == {0.25}
    assert not drawn.interrupted
    assert not drawn.foreign_interrupt
    assert forge.asked(TXT2IMG) == [{"prompt": "a cat", "force_task_id": TASK}]


def test_polls_that_fail_do_not_fail_the_drawing(forge: StandIn, forge_client: ForgeClient) -> None:
    forge.routes["/internal/progress"] = hang_up
    forge.routes["/sdapi/v1/progress"] = answer_bytes(b"oops", 500)
    watcher = BlindWatcher(forge, rounds=3)

    drawn = draw(forge_client, watcher)

    assert drawn.images
    assert set(watcher.told) == {None}


def test_polls_that_hang_do_not_hold_up_the_answer(forge: StandIn) -> None:
    patient = ForgeClient(forge.url, timing=Timing(poll=0.01, poll_short=0.01, answer=20))
    forge.routes["/internal/progress"] = forge.draw

    watcher = BlindWatcher(forge, rounds=5)
    drawn = draw(patient, watcher)

    assert drawn.images
    assert watcher.told[:5] == [None] * 5


def test_a_stop_interrupts_our_own_running_task(forge: StandIn, forge_client: ForgeClient) -> None:
    forge.is_drawing(ACTIVE)

    drawn = draw(forge_client, Watcher(forge, rounds=1, stop=True))

    assert drawn.interrupted
    assert not drawn.foreign_interrupt
    assert forge.asked(INTERRUPT)


def test_a_stop_spares_whoever_runs_in_front_of_us(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.is_drawing(QUEUED)

    def stop(progress: Progress | None) -> bool:
        watcher(progress)
        return True

    watcher = Watcher(forge, rounds=6)
    drawn = draw(forge_client, stop)

    assert drawn.interrupted
    assert forge.asked(INTERRUPT) == []


def test_a_stop_waits_for_our_turn(forge: StandIn, forge_client: ForgeClient) -> None:
    forge.is_drawing(QUEUED)
    told: list[Progress | None] = []

    def stop_and_start_later(progress: Progress | None) -> bool:
        told.append(progress)
        if len(told) == 4:
            assert not forge.asked(INTERRUPT)
            forge.task = dict(ACTIVE)
        return True

    assert draw(forge_client, stop_and_start_later).interrupted
    assert forge.asked(INTERRUPT)


def test_an_interrupted_drawing_may_lack_pictures(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.is_drawing(ACTIVE)
    empty = answer_json({**a_generation(), "images": []})
    forge.routes[TXT2IMG] = lambda handler: (forge.drawn.wait(30), empty(handler))[1]

    drawn = draw(forge_client, Watcher(forge, rounds=1, stop=True))

    assert drawn.images == ()
    assert drawn.interrupted


def test_an_interrupt_by_somebody_else_is_noticed(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.is_drawing(ACTIVE)
    forge.state["interrupted"] = True

    drawn = draw(forge_client, Watcher(forge, rounds=3))

    assert drawn.foreign_interrupt
    assert not drawn.interrupted


def test_an_interrupt_in_the_last_moment_is_noticed(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.drawn.set()
    forge.state["interrupted"] = True

    assert draw(forge_client).foreign_interrupt


def test_an_interrupt_of_the_next_job_is_not_ours(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.drawn.set()
    forge.state = {**BUSY, "interrupted": True}

    assert not draw(forge_client).foreign_interrupt


def test_a_task_that_never_moves_is_stalled(forge: StandIn) -> None:
    forge.is_drawing(ACTIVE)
    hasty = ForgeClient(forge.url, timing=Timing(poll_short=0.01, stall=0.1))

    with pytest.raises(ForgeStalled) as caught:
        draw(hasty)

    assert caught.value.sent


def test_a_task_in_the_queue_is_never_stalled(forge: StandIn) -> None:
    forge.is_drawing(QUEUED)
    hasty = ForgeClient(forge.url, timing=Timing(poll_short=0.05, stall=0.5))

    assert draw(hasty, Watcher(forge, rounds=15)).images


def test_before_the_first_step_patience_is_longer(forge: StandIn) -> None:
    forge.is_drawing({**ACTIVE, "progress": 0.0})
    hasty = ForgeClient(forge.url, timing=Timing(poll_short=0.05, stall=0.5))

    assert draw(hasty, Watcher(forge, rounds=15)).images


def test_a_forge_that_loads_forever_is_stalled_too(forge: StandIn) -> None:
    forge.is_drawing({**ACTIVE, "progress": 0.0})
    hasty = ForgeClient(forge.url, timing=Timing(poll_short=0.01, stall=0.05, stall_loading=0.2))

    with pytest.raises(ForgeStalled):
        draw(hasty)


def without_progress(forge: StandIn) -> ForgeClient:
    """A client of a Forge that was started with --nowebui, and that is working."""
    forge.routes["/internal/progress"] = answer_json({"detail": "Not Found"}, 404)
    forge.is_drawing(ACTIVE)
    return ForgeClient(forge.url, timing=Timing(poll_short=0.05, stall=0.5))


def test_without_a_progress_route_the_steps_of_the_whole_forge_show_life(forge: StandIn) -> None:
    hasty = without_progress(forge)
    watcher = BlindWatcher(forge, rounds=15)

    def step(progress: Progress | None) -> bool:
        forge.state["sampling_step"] = len(watcher.told)
        return watcher(progress)

    assert draw(hasty, step).images


def test_without_a_progress_route_a_forge_that_stands_still_is_stalled(forge: StandIn) -> None:
    with pytest.raises(ForgeStalled):
        draw(without_progress(forge))


def test_a_drawing_whose_answer_does_not_arrive_is_a_lost_connection(forge: StandIn) -> None:
    forge.task = {**NOBODYS, "completed": True}
    hasty = ForgeClient(forge.url, timing=Timing(poll_short=0.01, stall=0.1))

    with pytest.raises(ForgeConnectionLost):
        draw(hasty)


def test_what_holds_a_request_back_is_raised_and_nothing_leaves(forge: StandIn) -> None:
    def hold_back() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ForgeClient(forge.url).generate(
            "txt2img",
            {"prompt": "a cat"},
            TASK,
            expected_images=1,
            on_progress=go_on,
            before_sending=hold_back,
        )

    assert forge.asked(TXT2IMG) == []


def test_a_proxy_that_lost_its_forge_says_nothing_about_the_gpu(forge: StandIn) -> None:
    forge.routes[TXT2IMG] = answer_bytes(b"bad gateway", 502)
    freed: list[bool] = []

    with pytest.raises(ForgeConnectionLost):
        ForgeClient(forge.url).generate(
            "txt2img",
            {"prompt": "a cat"},
            TASK,
            expected_images=1,
            on_progress=go_on,
            on_answer=lambda: freed.append(True),
        )

    assert freed == []


def test_no_wait_is_endless(forge: StandIn) -> None:
    forge.is_drawing(QUEUED)
    hasty = ForgeClient(forge.url, timing=Timing(poll_short=0.01, cap=0.1))

    with pytest.raises(ForgeError) as caught:
        draw(hasty)

    assert caught.value.sent


def test_an_error_of_the_caller_closes_the_connection(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    closed: list[bytes] = []

    def watch_the_socket(handler: object) -> None:
        closed.append(handler.connection.recv(1))  # type: ignore[attr-defined]
        forge.drawn.set()

    forge.routes[TXT2IMG] = watch_the_socket

    with pytest.raises(ZeroDivisionError):
        draw(forge_client, lambda progress: bool(1 / 0))

    assert forge.drawn.wait(10)
    assert closed == [b""]


def test_a_payload_that_is_no_json_is_refused_before_anything_is_sent(forge: StandIn) -> None:
    with pytest.raises(ValueError, match="JSON"):
        ForgeClient(forge.url).generate(
            "txt2img", {"cfg_scale": float("nan")}, TASK, expected_images=1, on_progress=go_on
        )

    assert forge.asked(TXT2IMG) == []


# --- broken connections and answers ----------------------------------------------------


def test_a_refused_connection_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        with pytest.raises(ForgeUnreachable, match=f"127.0.0.1:{port}.*refused") as caught:
            draw(ForgeClient(f"http://127.0.0.1:{port}"))

    assert not caught.value.sent


def test_an_unknown_name_sent_nothing() -> None:
    with pytest.raises(ForgeUnreachable, match="no machine has that name"):
        ForgeClient("http://forge.invalid:7860").checkpoints()


def test_a_forge_that_speaks_no_tls_is_unreachable(forge: StandIn) -> None:
    with pytest.raises(ForgeUnreachable, match="TLS"):
        ForgeClient(forge.url.replace("http:", "https:")).activity()


def test_a_connection_that_ends_without_an_answer_is_lost(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.routes[TXT2IMG] = hang_up

    with pytest.raises(ForgeConnectionLost) as caught:
        draw(forge_client)

    assert caught.value.sent
    assert not caught.value.permanent


def test_a_truncated_answer_is_lost(forge: StandIn, forge_client: ForgeClient) -> None:
    forge.routes[TXT2IMG] = answer_bytes(b'{"images": [', content_length="9000")

    with pytest.raises(ForgeConnectionLost):
        draw(forge_client)


def test_a_login_page_is_a_bad_reply(forge: StandIn, forge_client: ForgeClient) -> None:
    forge.routes[TXT2IMG] = answer_bytes(b"<!doctype html><title>Login</title>")

    with pytest.raises(ForgeBadReply):
        draw(forge_client)


def test_an_endless_answer_is_cut_off_at_the_cap(forge: StandIn) -> None:
    written: list[int] = []

    def flood(handler: object) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("content-length", str(2**30))  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        for _ in range(1024):
            handler.wfile.write(bytes(2**20))  # type: ignore[attr-defined]
            written.append(2**20)

    forge.routes[TXT2IMG] = flood

    with pytest.raises(ForgeBadReply, match="more than 4194304 bytes"):
        draw(ForgeClient(forge.url, timing=Timing(reply_bytes=4 * 2**20)))

    assert sum(written) < 2**26


def test_a_compressed_answer_is_not_unpacked(forge: StandIn, forge_client: ForgeClient) -> None:
    bomb = gzip.compress(bytes(2**24))
    forge.routes[TXT2IMG] = answer_bytes(bomb, content_encoding="gzip")

    with pytest.raises(ForgeBadReply, match="compressed"):
        draw(forge_client)


def test_a_redirect_is_not_followed(forge: StandIn, forge_client: ForgeClient) -> None:
    forge.routes[TXT2IMG] = answer_bytes(b"", 302, location=f"{forge.url}/elsewhere")

    with pytest.raises(ForgeNotReady):
        draw(forge_client)

    assert forge.asked("/elsewhere") == []


def test_a_question_that_is_never_answered_ends(forge: StandIn) -> None:
    forge.routes["/sdapi/v1/sd-models"] = forge.draw
    hasty = ForgeClient(forge.url, timing=Timing(answer=0.1))

    with pytest.raises(ForgeConnectionLost):
        hasty.checkpoints()


def test_an_answer_that_drips_ends(forge: StandIn) -> None:
    def drip(handler: object) -> None:
        handler.send_response(200)  # type: ignore[attr-defined]
        handler.send_header("content-length", "100000")  # type: ignore[attr-defined]
        handler.end_headers()  # type: ignore[attr-defined]
        while not forge.drawn.wait(0.02):
            handler.wfile.write(b" ")  # type: ignore[attr-defined]

    forge.routes["/sdapi/v1/sd-models"] = drip
    hasty = ForgeClient(forge.url, timing=Timing(answer=0.2))

    with pytest.raises(ForgeConnectionLost, match=r"within 0.2 seconds"):
        hasty.checkpoints()


def test_a_peer_that_the_guard_refuses_hears_nothing(forge: StandIn) -> None:
    guarded = ForgeClient(forge.url, guard=lambda ours, peer, port: f"{peer} is no Forge.")

    with pytest.raises(ForgeUnreachable, match=r"127.0.0.1 is no Forge"):
        draw(guarded)

    assert forge.requests == []


# --- credentials -----------------------------------------------------------------------

SECRET = Credentials("forge-user", "sesame-open-1")


def test_credentials_go_to_the_api_routes_only(forge: StandIn) -> None:
    client = ForgeClient(forge.url, credentials=SECRET)

    client.activity()
    client.progress(TASK)

    (_, _, api), (_, _, internal) = forge.requests
    assert api["Authorization"].startswith("Basic ")
    assert "Authorization" not in internal


def test_credentials_echoed_by_a_forge_do_not_reach_the_message(forge: StandIn) -> None:
    echo = {"error": "RuntimeError", "message": f"bad password {SECRET.password}"}
    forge.routes[TXT2IMG] = answer_json(echo, 500)
    client = ForgeClient(forge.url, credentials=SECRET)

    with pytest.raises(ForgeError) as caught:
        draw(client)

    assert "sesame" not in f"{caught.value!r} {client!r} {SECRET!r}"


def test_a_refused_password_is_told_apart(forge: StandIn, forge_client: ForgeClient) -> None:
    refusal = exchanges("auth-api-auth-only", TXT2IMG)[0][1]
    forge.routes[TXT2IMG] = answer_json(refusal["body"], refusal["status"])

    with pytest.raises(ForgeUnauthorized) as caught:
        draw(forge_client)

    assert not caught.value.sent


# --- questions and orders ----------------------------------------------------------------


def test_refused_parameters_name_the_field(forge: StandIn, forge_client: ForgeClient) -> None:
    refusal = exchanges("txt2img-wrong-type-steps")[0][1]
    forge.routes[TXT2IMG] = answer_json(refusal["body"], 422)

    with pytest.raises(ForgeRejected, match="steps: Input should be a valid integer"):
        draw(forge_client)


def test_the_server_list_is_asked(forge: StandIn, forge_client: ForgeClient) -> None:
    forge.routes["/sdapi/v1/sd-models"] = answer_json(exchanges("get-sd-models")[0][1]["body"])

    assert [item.model_name for item in forge_client.checkpoints()] == [
        "rootrandom_v1",
        "Pony_tinyrandom_v1",
    ]


@pytest.mark.parametrize(
    ("busy", "task", "idle"),
    [(True, ACTIVE, False), (False, ACTIVE, True), (True, QUEUED, False), (True, NOBODYS, True)],
    ids=["running", "failed and still called active", "waiting", "unknown"],
)
def test_recovery_learns_whether_a_task_is_still_there(
    forge: StandIn, forge_client: ForgeClient, busy: bool, task: dict[str, object], idle: bool
) -> None:
    forge.task = task
    forge.state["job_count"] = int(busy)

    assert forge_client.is_idle_of(TASK) is idle


def test_a_failed_task_that_still_reads_active_is_not_interrupted(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.task = dict(ACTIVE)

    assert forge_client.interrupt(TASK) is False
    assert forge.asked(INTERRUPT) == []


def test_options_are_pinned_with_their_owners_values(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.routes["/sdapi/v1/options"] = answer_json({"samples_format": "png", "grid_save": True})

    pinned = forge_client.pin_options(["samples_format", "no_such_option"])

    assert pinned == ("samples_format",)
    assert forge.asked("/sdapi/v1/options") == [None, {"samples_format": "png"}]


def test_options_are_not_pinned_while_a_job_overrides_them(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.state = dict(BUSY)

    assert forge_client.pin_options(["samples_format"]) == ()
    assert forge.asked("/sdapi/v1/options") == []


def test_a_probe_tells_what_a_forge_can_do(forge: StandIn, forge_client: ForgeClient) -> None:
    assert forge_client.probe().is_forge
    assert forge_client.probe().has_progress

    forge.routes.pop("/internal/progress")

    assert not forge_client.probe().has_progress


def test_a_probe_of_a_forge_without_its_api_says_so(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.routes.pop("/sdapi/v1/progress")

    with pytest.raises(ForgeNotReady, match="--api"):
        forge_client.probe()
