"""A run in which all went well, to be spoilt in one point by each test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chaos.facts import Asked, EventRow, Facts, ImageRow, Interrupt, JobRow, Start

DRAWN = "11111111-1111-4111-8111-111111111111"
RETRIED = "22222222-2222-4222-8222-222222222222"
STOPPED = "33333333-3333-4333-8333-333333333333"
SOMEBODY = "task(k3j4h5k3j4h5k3j)"


def start(job_id: str, attempt: int, at: float, **more: Any) -> Start:
    """A generation of half a second."""
    said = {
        "server": "Ada",
        "task_id": f"{job_id}-{attempt}-ab12cd34",
        "seed": 7,
        "arrived_at": at,
        "started_at": at + 0.01,
        "ended_at": at + 0.5,
    }
    return Start(**{**said, **more})


def job(job_id: str, status: str, **more: Any) -> JobRow:
    said = {
        "id": job_id,
        "status": status,
        "attempt": 1,
        "retry_count": 0,
        "seed": 7,
        "prompt": f"a lighthouse wish-{job_id[0]} in a storm",
        "pictures_asked": 1,
        "pictures_named": (f"{job_id[:8]}.png",) if status == "completed" else (),
    }
    return JobRow(**{**said, **more})


def event(number: int, job_id: str, verb: str, status: str | None, attempt: int | None) -> EventRow:
    return EventRow(number, f"job.{verb}", job_id, status, attempt)


INTERRUPT = Interrupt("Ada", 104.2, f"{STOPPED}-1-ab12cd34", f"{STOPPED}-1-ab12cd34", 0.01)
GOOD = Facts(
    asked=[
        Asked("wish-1", "wish-1", ((DRAWN,), (DRAWN,))),
        Asked("wish-2", "", ((RETRIED,),)),
        Asked("wish-3", "wish-3", ((STOPPED,),)),
        Asked("wish-4", "wish-4"),
    ],
    told=replace(Facts().told, cancelled=frozenset({STOPPED})),
    jobs={
        DRAWN: job(DRAWN, "completed"),
        RETRIED: job(RETRIED, "completed", attempt=2, retry_count=1),
        STOPPED: job(STOPPED, "cancelled"),
    },
    images=[ImageRow(one, f"{one[:8]}.png", f"hash of {one}") for one in (DRAWN, RETRIED)],
    files={f"{one[:8]}.png": f"hash of {one}" for one in (DRAWN, RETRIED)},
    events=[
        event(1, DRAWN, "submitted", "pending", None),
        event(2, RETRIED, "submitted", "pending", None),
        event(3, DRAWN, "claimed", "processing", 1),
        event(4, DRAWN, "completed", "completed", 1),
        event(5, RETRIED, "claimed", "processing", 1),
        event(6, RETRIED, "retry", "pending", 1),
        event(7, STOPPED, "submitted", "pending", None),
        event(8, RETRIED, "claimed", "processing", 2),
        event(9, RETRIED, "completed", "completed", 2),
        event(10, STOPPED, "claimed", "processing", 1),
        event(11, STOPPED, "cancelled", "cancelled", 1),
    ],
    starts=[
        start(DRAWN, 1, 100.0),
        start(RETRIED, 1, 101.0, outcome="failed"),
        start(RETRIED, 2, 102.0),
        start("", 0, 102.1, task_id=SOMEBODY),
        start(STOPPED, 1, 104.0, outcome="interrupted"),
    ],
    interrupts=[INTERRUPT],
    healing_seconds=3.0,
    healing_limit=60.0,
)
