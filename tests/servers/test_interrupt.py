"""Forge stops whatever runs, so an interrupt is sent only when it surely hits our own."""

from __future__ import annotations

import time

import pytest

from servers.forge import ForgeClient, ForgeFailed
from tests.servers.stand_in import ACTIVE, NOBODYS, QUEUED, StandIn, answer_json

INTERRUPT = "/sdapi/v1/interrupt"


@pytest.mark.parametrize(
    ("task", "sent"),
    [
        (ACTIVE, True),
        ({**ACTIVE, "eta": 30.0}, True),
        ({**ACTIVE, "eta": 0.2}, False),
        (QUEUED, False),
        (NOBODYS, False),
        ({**NOBODYS, "completed": True}, False),
    ],
)
def test_only_what_runs_and_does_not_end_at_once_is_stopped(
    forge: StandIn, forge_client: ForgeClient, task, sent
) -> None:
    forge.is_drawing(task)

    assert forge_client.interrupt("ours") is sent

    assert bool(forge.asked(INTERRUPT)) is sent


def test_nothing_is_stopped_on_the_word_of_an_old_answer(
    forge: StandIn, forge_client: ForgeClient
) -> None:
    forge.is_drawing(ACTIVE)

    def slowly(handler):
        time.sleep(2 * forge_client.timing.check_holds)
        answer_json(ACTIVE)(handler)

    forge.routes["/internal/progress"] = slowly

    assert not forge_client.interrupt("ours")
    assert not forge.asked(INTERRUPT)


@pytest.mark.parametrize(("status", "told"), [(200, True), (500, False)])
def test_only_a_drawn_picture_gives_the_gpu_on_before_it_is_unpacked(
    forge: StandIn, forge_client: ForgeClient, status, told
) -> None:
    given_on = []
    forge.routes["/sdapi/v1/txt2img"] = (
        answer_json({"error": "RuntimeError", "message": "x"}, 500) if status == 500 else forge.draw
    )
    forge.drawn.set()

    def draw():
        return forge_client.generate(
            "txt2img",
            {},
            "ours",
            expected_images=1,
            on_progress=lambda _: False,
            on_answer=lambda: given_on.append(True),
        )

    if told:
        assert draw().images
    else:
        with pytest.raises(ForgeFailed):
            draw()

    assert bool(given_on) is told
