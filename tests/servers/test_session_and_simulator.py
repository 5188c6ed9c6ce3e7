"""The session of the page and the simulated Forge that was started without --api."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from servers.forge_errors import ForgeBadReply, ForgeFailed, ForgeRejected, ForgeUnauthorized
from servers.forge_line import Credentials
from servers.forge_replies import Generation, Progress
from servers.forge_session import ForgeSession
from servers.forge_timing import Timing
from servers.simulator.server import ForgeSimulator

TASK = "sq-88615c9d-1"


@pytest.fixture
def simulator() -> Iterator[ForgeSimulator]:
    with ForgeSimulator(seconds=0.3, load_seconds=0.05, api=False) as running:
        yield running


def session(simulator: ForgeSimulator, login: Credentials | None = None) -> ForgeSession:
    timing = Timing(poll_short=0.02, poll=0.02, answer=3.0)
    return ForgeSession(simulator.url, page_credentials=login, timing=timing)


def draw(
    simulator: ForgeSimulator, *, task: str = TASK, stop_at: str = "", **payload: object
) -> Generation:
    """Draw 64x64; with `stop_at`, want it stopped as soon as its state is that."""

    def on_progress(progress: Progress | None) -> bool:
        return progress is not None and progress.state == stop_at

    return session(simulator).generate(
        "txt2img",
        {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, **payload},
        task,
        expected_images=int(str(payload.get("batch_size", 1))),
        on_progress=on_progress,
    )


def outcomes(simulator: ForgeSimulator) -> list[str]:
    return [entry.outcome for entry in simulator.journal.generations]


def test_a_batch_is_drawn_without_its_grid(simulator: ForgeSimulator) -> None:
    drawn = draw(simulator, batch_size=2)

    assert len(drawn.images) == 2
    assert drawn.seeds == (7, 8)
    assert drawn.infotexts[1].startswith("a cat")
    assert not drawn.foreign_interrupt


def test_numbers_of_a_page_with_extensions_are_no_trouble() -> None:
    with ForgeSimulator(seconds=0.1, api=False, page_shift=17) as simulator:
        assert len(draw(simulator, steps=3).images) == 1
        assert simulator.journal.generations[0].seed == 7


def test_a_listed_checkpoint_is_the_one_that_draws(simulator: ForgeSimulator) -> None:
    wanted = session(simulator).checkpoints()[-1]

    drawn = draw(simulator, override_settings={"sd_model_checkpoint": wanted.name})

    assert wanted.name.endswith(f"{drawn.model_name}.safetensors")


def test_its_lists_are_read_from_the_page(simulator: ForgeSimulator) -> None:
    page = session(simulator)

    assert "Euler a" in page.samplers()
    assert "Karras" in page.schedulers()
    assert page.loras()


def test_a_stop_ends_the_drawing(simulator: ForgeSimulator) -> None:
    drawn = draw(simulator, stop_at="active", steps=10_000)

    assert drawn.interrupted
    assert outcomes(simulator) == ["interrupted"]
    assert session(simulator).is_idle_of(TASK)


def test_a_stop_ends_all_batches_of_a_drawing(simulator: ForgeSimulator) -> None:
    drawn = draw(simulator, stop_at="active", steps=2_000, n_iter=5)

    assert drawn.interrupted
    assert outcomes(simulator) == ["interrupted"]


def test_a_job_that_waits_in_the_pages_queue_is_withdrawn(simulator: ForgeSimulator) -> None:
    other = threading.Thread(target=draw, args=(simulator,), kwargs={"task": "other", "steps": 20})
    other.start()
    while session(simulator).progress("other").state != "active":
        assert other.is_alive()

    drawn = draw(simulator, stop_at="queued")

    other.join()
    assert drawn.interrupted
    assert drawn.images == ()
    assert outcomes(simulator) == ["completed"]


def test_an_interrupt_by_somebody_else_is_noticed(simulator: ForgeSimulator) -> None:
    def press() -> None:
        while not session(simulator).interrupt(TASK):
            pass

    person = threading.Thread(target=press)
    person.start()
    drawn = draw(simulator, steps=10_000)
    person.join()

    assert drawn.foreign_interrupt
    assert not drawn.interrupted


def test_an_error_of_the_run_is_raised(simulator: ForgeSimulator) -> None:
    with pytest.raises(ForgeFailed, match="ZeroDivisionError"):
        draw(simulator, steps=0)


def test_what_nobody_received_is_restored(simulator: ForgeSimulator) -> None:
    drawn = draw(simulator, batch_size=2)

    assert session(simulator).kept_pictures("txt2img", TASK, ["a", "b"]) == drawn.images
    with pytest.raises(ForgeBadReply):
        session(simulator).kept_pictures("txt2img", "another", ["a"])


def test_pictures_are_no_way_to_begin(simulator: ForgeSimulator) -> None:
    with pytest.raises(ForgeRejected, match="without --api"):
        session(simulator).generate(
            "img2img", {}, TASK, expected_images=1, on_progress=lambda _: False
        )


def test_a_page_with_a_login_is_drawn_through() -> None:
    with ForgeSimulator(seconds=0.1, api=False, gradio_auth="me:sesame") as simulator:
        page = session(simulator, Credentials("me", "sesame"))
        drawn = page.generate(
            "txt2img", {"prompt": "a"}, TASK, expected_images=1, on_progress=lambda _: False
        )
        assert len(drawn.images) == 1

        simulator.restart()
        drawn = page.generate(
            "txt2img", {"prompt": "a"}, "x-2", expected_images=1, on_progress=lambda _: False
        )
        assert len(drawn.images) == 1

        with pytest.raises(ForgeUnauthorized):
            session(simulator).require_login()
