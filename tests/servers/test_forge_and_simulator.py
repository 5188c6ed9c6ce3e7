"""The client and the simulated Forge: one lock, real task ids, faults on demand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers.forge import (
    ForgeBadReply,
    ForgeClient,
    ForgeConnectionLost,
    ForgeError,
    ForgeFailed,
    Generation,
    Progress,
    Timing,
)
from servers.simulator.server import ForgeSimulator

TASK = "sq-88615c9d-1"


@pytest.fixture
def simulator() -> Iterator[ForgeSimulator]:
    with ForgeSimulator(seconds=0.3, load_seconds=0.05) as running:
        yield running


def draw(simulator: ForgeSimulator, *, stop: bool = False, **payload: object) -> Generation:
    """Draw 64x64; with `stop`, want it stopped as soon as it is seen anywhere in Forge."""

    def on_progress(progress: Progress | None) -> bool:
        return stop and progress is not None and progress.state in ("active", "queued")

    return ForgeClient(simulator.url, timing=Timing(poll_short=0.02)).generate(
        "txt2img",
        {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, **payload},
        TASK,
        expected_images=int(str(payload.get("batch_size", 1))),
        on_progress=on_progress,
    )


def test_a_batch_is_drawn(simulator: ForgeSimulator) -> None:
    drawn = draw(simulator, batch_size=2)

    assert len(drawn.images) == 2
    assert drawn.seeds == (7, 8)
    assert not drawn.foreign_interrupt


def test_a_listed_checkpoint_is_the_one_that_draws(simulator: ForgeSimulator) -> None:
    wanted = ForgeClient(simulator.url).checkpoints()[-1]

    drawn = draw(simulator, override_settings={"sd_model_checkpoint": wanted.name})

    assert wanted.name.endswith(f"{drawn.model_name}.safetensors")


def test_a_stop_ends_the_drawing(simulator: ForgeSimulator) -> None:
    drawn = draw(simulator, stop=True, steps=10_000)

    assert drawn.interrupted
    assert ForgeClient(simulator.url).is_idle_of(TASK)


def test_a_stop_never_ends_somebody_elses_drawing(simulator: ForgeSimulator) -> None:
    foreign = simulator.foreign(seconds=0.5)

    drawn = draw(simulator, stop=True)

    assert drawn.interrupted
    assert ForgeClient(simulator.url).progress(foreign).state == "completed"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("error_500_text", ForgeFailed),
        ("error_500_json", ForgeFailed),
        ("oom", ForgeFailed),
        ("close_midway", ForgeConnectionLost),
        ("die", ForgeConnectionLost),
        ("truncate", ForgeConnectionLost),
        ("not_json", ForgeBadReply),
        ("html", ForgeBadReply),
        ("no_images", ForgeBadReply),
        ("not_png", ForgeBadReply),
    ],
)
def test_each_fault_is_the_error_it_is(
    simulator: ForgeSimulator, fault: str, error: type[ForgeError]
) -> None:
    simulator.fault(fault)

    with pytest.raises(error) as caught:
        draw(simulator)

    assert caught.value.sent
    assert not caught.value.permanent


def test_broken_polls_do_not_spoil_a_drawing(simulator: ForgeSimulator) -> None:
    simulator.fault("progress_500", times=100)

    assert draw(simulator).images


def test_options_are_pinned(simulator: ForgeSimulator) -> None:
    client = ForgeClient(simulator.url)

    assert client.pin_options(["CLIP_stop_at_last_layers"]) == ("CLIP_stop_at_last_layers",)
