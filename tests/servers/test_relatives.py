"""Forge's relatives: what their sources do otherwise costs no job and is told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from servers.forge import ForgeClient
from servers.forge_errors import (
    ForgeError,
    ForgeFailed,
    ForgeNotReady,
    ForgeRejected,
    ForgeUnauthorized,
    ForgeUnknownSetting,
)
from servers.forge_line import Credentials
from servers.forge_session import ForgeSession
from servers.forge_timing import Timing
from servers.forge_ways import Forge
from servers.probing import look
from servers.simulator.server import ForgeSimulator

TASK = "sq-1"
TIMING = Timing(poll_short=0.02, poll=0.02, answer=3.0)


@pytest.fixture(params=["forge", "a1111", "neo"])
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def relative(flavour: str) -> Iterator[ForgeSimulator]:
    with ForgeSimulator(seconds=0.1, load_seconds=0.02, flavour=flavour) as running:  # type: ignore[arg-type]
        yield running


def api(simulator: ForgeSimulator, login: Credentials | None = None) -> ForgeClient:
    return ForgeClient(simulator.url, credentials=login, timing=TIMING)


def draw(client: Forge, **payload: Any) -> Any:
    return client.generate(
        "txt2img",
        {"prompt": "a cat", "width": 64, "height": 64, "seed": 7, **payload},
        TASK,
        expected_images=int(payload.get("batch_size", 1)),
        on_progress=lambda _: False,
    )


def test_a_batch_with_hires_fix_is_drawn(relative: ForgeSimulator) -> None:
    drawn = draw(
        api(relative), batch_size=2, enable_hr=True, hr_additional_modules=["Use same choices"]
    )

    assert len(drawn.images) == 2
    assert drawn.seeds == (7, 8)


def test_a_checkpoint_of_its_list_draws(relative: ForgeSimulator) -> None:
    wanted = api(relative).checkpoints()[-1]

    drawn = draw(api(relative), override_settings={"sd_model_checkpoint": wanted.name})

    assert wanted.name.endswith(f"{drawn.model_name}.safetensors")


def test_which_it_is_is_a_capability(relative: ForgeSimulator, flavour: str) -> None:
    found = look(api(relative), ForgeSession(relative.url, timing=TIMING), "auto")

    assert found.way == "api"
    assert found.is_forge is (flavour != "a1111")
    assert found.has_progress


def test_an_error_of_the_run_is_told_in_its_words(relative: ForgeSimulator) -> None:
    with pytest.raises(ForgeFailed, match=r"ZeroDivisionError: .+"):
        draw(api(relative), steps=0)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"steps": "many"}, ForgeRejected),
        ({"override_settings": {"no_such_setting": 1}}, ForgeUnknownSetting),
    ],
)
def test_a_refusal_is_told_apart(
    relative: ForgeSimulator, payload: dict[str, Any], error: type[ForgeError]
) -> None:
    with pytest.raises(error):
        draw(api(relative), **payload)


def test_a_wrong_password_is_told_apart(flavour: str) -> None:
    with (
        ForgeSimulator(flavour=flavour, api_auth="api:right") as relative,  # type: ignore[arg-type]
        pytest.raises(ForgeUnauthorized),
    ):
        draw(api(relative, Credentials("api", "wrong")))


def test_its_page_is_drawn_through_where_that_is_possible(flavour: str) -> None:
    with ForgeSimulator(seconds=0.1, api=False, flavour=flavour) as relative:  # type: ignore[arg-type]
        page = ForgeSession(relative.url, timing=TIMING)
        if flavour == "a1111":
            with pytest.raises(ForgeNotReady, match="start it with --api"):
                look(api(relative), page, "auto")
        else:
            assert look(api(relative), page, "auto").way == "session"
            assert len(draw(page).images) == 1
