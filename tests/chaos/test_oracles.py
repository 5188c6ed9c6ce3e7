"""Each oracle is silent while all is well, and speaks up about each thing that is not."""

from dataclasses import replace

import pytest

from chaos.facts import Asked, Facts, ImageRow
from chaos.oracles import Finding, violations
from jobs.lifecycle import TRANSITIONS
from tests.chaos.facts import (
    DRAWN,
    GOOD,
    INTERRUPT,
    RETRIED,
    SOMEBODY,
    STOPPED,
    event,
    job,
    start,
)


def judge(**spoilt):
    return violations(replace(GOOD, **spoilt), TRANSITIONS)


def jobs_with(*changed):
    return {**GOOD.jobs, **{one.id: one for one in changed}}


def told(**more):
    return replace(GOOD.told, **{name: frozenset(ids) for name, ids in more.items()})


def retold(*events):
    """The same story, with other or further events behind their ids."""
    return sorted([*GOOD.events, *events], key=lambda one: one.id)


def test_nothing_is_said_about_a_good_run():
    assert violations(GOOD, TRANSITIONS) == []


def test_nothing_is_said_about_a_run_in_which_nothing_happened():
    assert violations(Facts(), TRANSITIONS) == []


SPOILT = {
    "an accepted job is not there": (
        "O1",
        {"jobs": {one: GOOD.jobs[one] for one in (DRAWN, RETRIED)}},
        "accepted and is not there",
    ),
    "a job is under way for ever": (
        "O1",
        {"jobs": jobs_with(job(DRAWN, "processing")), "images": GOOD.images[1:]},
        "processing for no reason",
    ),
    "a job waits and nobody can say for what": (
        "O1",
        {"jobs": jobs_with(job(DRAWN, "pending")), "images": GOOD.images[1:]},
        "pending for no reason",
    ),
    "a deleted job is still there": (
        "O1",
        {"told": told(cancelled={STOPPED}, deleted={DRAWN})},
        "was deleted and is there",
    ),
    "a cancelled job was completed": (
        "O1",
        {"told": told(cancelled={STOPPED, DRAWN})},
        "was cancelled and is completed",
    ),
    "a repeat made another job": (
        "O1",
        {"asked": [Asked("wish-1", "wish-1", ((DRAWN,), (RETRIED,)))]},
        "made different jobs",
    ),
    "a lost answer hid a second job": (
        "O1",
        {"jobs": {**GOOD.jobs, "x": job("x", "cancelled", prompt="a wish-1")}},
        "also made x",
    ),
    "a job was drawn twice without a charge": (
        "O2",
        {"starts": [*GOOD.starts, start(DRAWN, 2, 110.0)]},
        "started 2 times, 1 allowed",
    ),
    "a charge was spent twice": (
        "O2",
        {"starts": [*GOOD.starts, start(RETRIED, 3, 110.0)]},
        "started 3 times, 2 allowed",
    ),
    "a second try drew another picture": (
        "O2",
        {"starts": [*GOOD.starts[:2], start(RETRIED, 2, 102.0, seed=8), *GOOD.starts[3:]]},
        "other seeds",
    ),
    "two generations have one name": (
        "O2",
        {"starts": [*GOOD.starts[:2], start(RETRIED, 1, 102.0), *GOOD.starts[3:]]},
        "one name for two",
    ),
    "a picture is not on disk": ("O3", {"files": {}}, "has a row and no file"),
    "a picture is half written": (
        "O3",
        {"files": dict.fromkeys(GOOD.files, "half")},
        "not what its row says",
    ),
    "a completed job has no picture": ("O3", {"images": GOOD.images[:1]}, "and has 0"),
    "a completed job has two results": (
        "O3",
        {
            "images": [*GOOD.images, ImageRow(DRAWN, "more.png", "more")],
            "files": {**GOOD.files, "more.png": "more"},
        },
        "and has 2",
    ),
    "a completed job names fewer pictures than were asked for": (
        "O3",
        {"jobs": jobs_with(job(DRAWN, "completed", pictures_asked=2))},
        "asked for 2",
    ),
    "a cancelled job has a picture": (
        "O3",
        {
            "images": [*GOOD.images, ImageRow(STOPPED, "late.png", "late")],
            "files": {**GOOD.files, "late.png": "late"},
        },
        "is cancelled and has pictures",
    ),
    "a file has no row": ("O3", {"files": {**GOOD.files, "x.png": "x"}}, "x.png is on disk"),
    "staging is left over": ("O3", {"staging": ["some-attempt"]}, "some-attempt is on disk"),
    "a server was sent two at once": (
        "O4",
        {"starts": [*GOOD.starts[1:], start(DRAWN, 1, 101.3)]},
        "was sent",
    ),
    "a server was sent one while it drew one that never ended": (
        "O4",
        {"starts": [start(DRAWN, 1, 100.0, ended_at=None), *GOOD.starts[1:]]},
        "was sent",
    ),
    "one that lasted long hid between short ones": (
        "O4",
        {"starts": [start(DRAWN, 1, 100.0, ended_at=102.2), *GOOD.starts[1:]]},
        "was sent",
    ),
    "a job came back from its end": (
        "O5",
        {"events": retold(event(12, DRAWN, "claimed", "processing", 2))},
        "from completed to processing",
    ),
    "a job was claimed while somebody worked on it": (
        "O5",
        {
            "events": [
                *GOOD.events[:5],
                event(5, RETRIED, "claimed", "processing", 2),
                *GOOD.events[5:],
            ]
        },
        "from processing to processing",
    ),
    "a job began in the middle": ("O5", {"events": GOOD.events[1:]}, "from None to processing"),
    "a job was completed twice": (
        "O5",
        {"events": retold(event(12, DRAWN, "completed", "completed", 1))},
        "from completed to completed",
    ),
    "an attempt was claimed twice": (
        "O5",
        {
            "events": [
                event(one.id, one.job_id, one.kind[4:], one.status, 1 if one.attempt else None)
                for one in GOOD.events
            ]
        },
        "from attempt 1 to 1",
    ),
    "an attempt went back": (
        "O5",
        {"events": retold(event(12, RETRIED, "touched", None, 1))},
        "from attempt 2 to 1",
    ),
    "a row is not what its events say": (
        "O5",
        {"jobs": jobs_with(job(STOPPED, "failed")), "told": told()},
        "its events say cancelled",
    ),
    "a secret was logged": ("O6", {"leaks": [("the key", "web.log")]}, "the key stands in web.log"),
    "it did not heal": ("O7", {"healing_seconds": None}, "not healed"),
    "it healed too late": ("O7", {"healing_seconds": 61.0}, "not healed"),
    "a slot is nobody's and not free": (
        "O7",
        {"slots_held": ["Ada (draining)"]},
        "the slot of Ada (draining)",
    ),
    "a server was interrupted without a look": (
        "O8",
        {"interrupts": [replace(INTERRUPT, checked_task_id=None, seconds_since_check=None)]},
        "no check that said ours",
    ),
    "somebody else's picture was meant": (
        "O8",
        {"interrupts": [replace(INTERRUPT, task_id=SOMEBODY, checked_task_id=SOMEBODY)]},
        "no check that said ours",
    ),
    "an interrupt came long after the look": (
        "O8",
        {"interrupts": [replace(INTERRUPT, seconds_since_check=0.11)]},
        "0.110 s after a check",
    ),
}


@pytest.mark.parametrize(("oracle", "spoilt", "said"), SPOILT.values(), ids=SPOILT)
def test_it_is_said_when(oracle, spoilt, said):
    found = judge(**spoilt)

    assert [one.text for one in found if one.oracle == oracle and said in one.text], found


@pytest.mark.parametrize("oracle", [f"O{number}" for number in range(1, 9)])
def test_each_oracle_was_spoilt(oracle):
    assert oracle in {name for name, _, _ in SPOILT.values()}


def test_a_retry_by_a_person_allows_one_more_start():
    again = [
        event(12, DRAWN, "retried", "pending", 1),
        event(13, DRAWN, "claimed", "processing", 2),
        event(14, DRAWN, "completed", "completed", 2),
    ]
    legal = TRANSITIONS | {("completed", "pending")}

    found = violations(
        replace(GOOD, events=retold(*again), starts=[*GOOD.starts, start(DRAWN, 2, 110.0)]), legal
    )

    assert found == []


def test_a_rescue_goes_on_with_the_next_attempt():
    events = [
        event(12, "x", "submitted", "pending", None),
        event(13, "x", "claimed", "processing", 1),
        event(14, "x", "rescued", "processing", 2),
        event(15, "x", "retry", "pending", 2),
        event(16, "x", "deleted", None, None),
    ]

    assert judge(events=retold(*events)) == []


def test_an_event_may_name_the_status_a_job_has_anyway():
    assert judge(events=retold(event(12, DRAWN, "starred", "completed", None))) == []


def test_a_deleted_job_is_not_missed():
    without = {one: GOOD.jobs[one] for one in (DRAWN, RETRIED)}

    assert judge(jobs=without, told=told(deleted={STOPPED})) == []
    assert judge(jobs=without, told=told(maybe_deleted={STOPPED})) == []


def test_time_in_which_a_process_was_frozen_does_not_age_a_check():
    late = replace(INTERRUPT, at=200.0, seconds_since_check=2.05)

    assert judge(interrupts=[late], frozen=[(197.99, 199.98)]) == []
    assert judge(interrupts=[late], frozen=[(150.0, 170.0)]) != []


def test_what_is_not_swept_yet_is_not_held_against_it():
    assert judge(staging=["some-attempt"], is_swept=False) == []


def test_a_finding_is_one_line():
    assert str(Finding("O1", "a job is lost.")) == "O1: a job is lost."
