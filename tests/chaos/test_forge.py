"""What is read out of a Forge's journal."""

import json

import pytest

from chaos.forge import Forge
from servers.simulator import ForgeSimulator
from servers.simulator.server import DEFAULT_MODELS
from tests.flows.stack import eventually


@pytest.fixture
def forge(tmp_path):
    with ForgeSimulator(DEFAULT_MODELS, seconds=0.2, log=tmp_path / "journal") as simulator:
        yield Forge("Ada", simulator.port, 0.2, tmp_path / "journal", "user", "password")


def write(forge, *entries):
    lines = [entry if isinstance(entry, str) else json.dumps(entry) for entry in entries]
    forge.journal.write_text("".join(f"{line}\n" for line in lines))


def entry(event, at, ended_at=None, outcome="running"):
    times = {"arrived_at": at, "started_at": at, "ended_at": ended_at}
    return {"event": event, "task_id": f"task-{at}", "seed": 1, "outcome": outcome, **times}


def test_a_generation_is_known_by_its_last_word(forge):
    write(forge, entry("start", 1.0), entry("end", 1.0, 2.0, "completed"), entry("start", 3.0))

    starts = forge.starts([0.5])

    assert [(one.started_at, one.ended_at) for one in starts] == [(1.0, 2.0), (3.0, None)]
    assert [one.outcome for one in starts] == ["completed", "running"]


def test_what_never_ended_was_cut_off_by_the_next_start_of_the_process(forge):
    write(forge, entry("start", 1.0), '{"event": "sta')

    assert [one.ended_at for one in forge.starts([0.5, 4.0, 9.0])] == [4.0]


def test_a_person_who_presses_interrupt_is_told_from_us(forge):
    assert forge.somebody_interrupts()

    assert forge.interrupts() == []
    forge.pressed.clear()
    [ours] = forge.interrupts()
    assert (ours.server, ours.task_id, ours.checked_task_id) == ("Ada", None, None)


def test_an_interrupt_says_which_task_was_called_active_before(forge):
    forge.somebody_draws(5)
    [task] = eventually(
        lambda: [one.task_id for one in forge.starts([])], what="the start of the drawing"
    )
    ask = {"id_task": task, "live_preview": False}
    forge._post("/internal/progress", ask)

    forge._post("/sdapi/v1/interrupt", {})

    [interrupt] = forge.interrupts()
    assert interrupt.task_id == interrupt.checked_task_id == task
    assert 0 <= interrupt.seconds_since_check < 5


def test_one_that_is_away_is_no_error(tmp_path):
    gone = Forge("Ada", 1, 0.2, tmp_path / "journal", "user", "password")

    assert gone.fault("die") is False
    assert gone.somebody_draws(1) is False
    assert gone.is_drawing() is False
    assert gone.starts([]) == []
