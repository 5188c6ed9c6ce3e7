"""O1 to O7: what must hold once all is quiet again. Pure functions over facts.

Each yields its findings as sentences; none is good news.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaos.facts import Asked, EventRow, Facts, Interrupt, Start

ENDED = frozenset({"completed", "failed", "cancelled"})
CHECK_COUNTS_FOR = 0.1
"""Seconds after a Forge called a task ours within which it may be interrupted."""
_CHANGES = frozenset(
    {
        "job.submitted",
        "job.claimed",
        "job.retry",
        "job.released",
        "job.retried",
        "job.completed",
        "job.failed",
        "job.cancelled",
    }
)
"""The kinds of events that stand for a change of status."""
Transitions = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """One violated oracle."""

    oracle: str
    text: str

    def __str__(self) -> str:
        return f"{self.oracle}: {self.text}"


def violations(facts: Facts, transitions: Transitions) -> list[Finding]:
    """Return what speaks against the promise, in the order of the oracles."""
    judges: Mapping[str, Callable[[Facts], Iterator[str]]] = {
        "O1": nothing_is_lost,
        "O2": nothing_starts_twice,
        "O3": pictures_are_whole,
        "O4": one_at_a_time,
        "O5": lambda known: only_legal_changes(known, transitions),
        "O6": no_secret_is_told,
        "O7": it_healed,
        "O8": interrupts_are_aimed,
    }
    return [Finding(name, text) for name, judge in judges.items() for text in judge(facts)]


def nothing_is_lost(facts: Facts) -> Iterator[str]:
    """O1: a job that was answered 2xx has ended or waits with a reason; a deleted one is gone."""
    gone = facts.told.deleted | facts.told.maybe_deleted
    for asked in facts.asked:
        for job_id in sorted(set(itertools.chain.from_iterable(asked.accepted))):
            job = facts.jobs.get(job_id)
            if job is None and job_id not in gone:
                yield f"job {job_id} was accepted and is not there."
            elif job is not None and job_id in facts.told.deleted:
                yield f"job {job_id} was deleted and is there, {job.status}."
            elif job is not None and not (
                job.status in ENDED or (job.status == "pending" and job.reason)
            ):
                yield f"job {job_id} is {job.status} for no reason."
        yield from _repeats_made_one(asked, facts)
    for job_id in sorted(facts.told.cancelled):
        job = facts.jobs.get(job_id)
        if job is not None and job.status != "cancelled":
            yield f"job {job_id} was cancelled and is {job.status}."


def _repeats_made_one(asked: Asked, facts: Facts) -> Iterator[str]:
    if not asked.key:
        return
    if len(set(asked.accepted)) > 1:
        yield f"the repeats with key {asked.key} made different jobs: {asked.accepted}."
    there = [job.id for job in facts.jobs.values() if asked.marker in job.prompt.split()]
    if asked.accepted and (strangers := set(there) - set(asked.accepted[0])):
        yield f"the key {asked.key} also made {', '.join(sorted(strangers))}."


def nothing_starts_twice(facts: Facts) -> Iterator[str]:
    """O2: a job is drawn once, and once more for each charge and each retry by a person."""
    again = Counter(_further_starts(facts.events))
    by_job = _by_job(facts.starts)
    for job_id, starts in by_job.items():
        allowed = 1 + again[job_id]
        if len(starts) > allowed:
            yield f"job {job_id} was started {len(starts)} times, {allowed} allowed: " + ", ".join(
                f"{start.task_id[37:]} {start.outcome}" for start in starts
            )
        if len({start.seed for start in starts}) > 1:
            yield f"job {job_id} was drawn with other seeds than before."
        if len({start.task_id for start in starts}) < len(starts):
            yield f"job {job_id} used one name for two generations."


def _further_starts(events: Sequence[EventRow]) -> Iterator[str]:
    """The jobs that may be started once more, as often as they may."""
    status: dict[str, str] = {}
    for event in events:
        before = status.get(event.job_id)
        if event.kind == "job.retry" or (before in ENDED and event.status == "pending"):
            yield event.job_id
        status[event.job_id] = event.status or before or ""


def pictures_are_whole(facts: Facts) -> Iterator[str]:
    """O3: one result for each completed job, none for others; files and rows agree."""
    rows = defaultdict(list)
    for image in facts.images:
        rows[image.job_id].append(image)
        if image.name not in facts.files:
            yield f"the picture {image.name} has a row and no file."
        elif facts.files[image.name] != image.sha256:
            yield f"the picture {image.name} is not what its row says."
    for job in facts.jobs.values():
        names = tuple(image.name for image in rows[job.id])
        if job.status != "completed":
            if names:
                yield f"job {job.id} is {job.status} and has pictures."
        elif sorted(names) != sorted(job.pictures_named) or len(names) != job.pictures_asked:
            yield (
                f"job {job.id} asked for {job.pictures_asked} pictures, names "
                f"{len(job.pictures_named)} and has {len(names)}."
            )
    if facts.is_swept:
        for name in facts.leftovers():
            yield f"{name} is on disk and belongs to no picture."


def one_at_a_time(facts: Facts) -> Iterator[str]:
    """O4: no generation of ours reaches a server before the last one has ended there."""
    ours = sorted(
        (start for start in facts.starts if facts.is_ours(start.task_id)),
        key=lambda start: (start.server, start.arrived_at),
    )
    for server, starts in itertools.groupby(ours, key=lambda start: start.server):
        last: Start | None = None
        for start in starts:
            if last is not None and start.arrived_at < _end(last):
                yield f"{server} was sent {start.task_id} while it drew {last.task_id}."
            last = start if last is None else max(last, start, key=_end)


def _end(start: Start) -> float:
    return math.inf if start.ended_at is None else start.ended_at


def only_legal_changes(facts: Facts, transitions: Transitions) -> Iterator[str]:
    """O5: a job's events make a path through the picture of its life, and attempts only grow."""
    status: dict[str, str] = {}
    attempt: dict[str, int] = {}
    for event in facts.events:
        before, now = status.get(event.job_id), event.status
        if event.kind == "job.deleted":
            status[event.job_id] = "deleted"
            continue
        if now is not None:
            if before is None:
                legal = now == "pending"
            else:
                # An event may tell of something else and name the status a job has anyway.
                told_again = before == now and event.kind not in _CHANGES
                legal = (before, now) in transitions or told_again
            if not legal:
                yield f"event {event.id} {event.kind}: job {event.job_id} from {before} to {now}."
            status[event.job_id] = now
        if event.attempt is not None:
            last = attempt.get(event.job_id, 0)
            again = event.kind == "job.claimed" and event.attempt == last
            if event.attempt < last or again:
                yield (
                    f"event {event.id} {event.kind}: job {event.job_id} went from attempt "
                    f"{last} to {event.attempt}."
                )
            attempt[event.job_id] = event.attempt
    for job in facts.jobs.values():
        if status.get(job.id) != job.status:
            yield f"job {job.id} is {job.status}; its events say {status.get(job.id)}."


def no_secret_is_told(facts: Facts) -> Iterator[str]:
    """O6: no secret stands in a log, an event or an error."""
    for secret, place in facts.leaks:
        yield f"{secret} stands in {place}."


def it_healed(facts: Facts) -> Iterator[str]:
    """O7: within the stated time nothing was under way any more and everything ran."""
    if facts.healing_seconds is None or facts.healing_seconds > facts.healing_limit:
        yield f"not healed within {facts.healing_limit:.0f} s."
    for server in facts.slots_held:
        yield f"the slot of {server} is not free."


def interrupts_are_aimed(facts: Facts) -> Iterator[str]:
    """O8: an interrupt follows within a moment on a check that called a task of ours active.

    Forge's interrupt is global: one that was aimed can still meet what began in that moment.
    """
    for interrupt in facts.interrupts:
        if not facts.is_ours(interrupt.checked_task_id):
            yield f"{interrupt.server} was interrupted after no check that said ours."
        elif _age(interrupt, facts.frozen) > CHECK_COUNTS_FOR:
            met = interrupt.task_id or "nobody"
            yield (
                f"{interrupt.server} was interrupted {interrupt.seconds_since_check:.3f} s after "
                f"a check of {interrupt.checked_task_id}; it met {met}."
            )


def _age(interrupt: Interrupt, frozen: Sequence[tuple[float, float]]) -> float:
    """Seconds since the check, without those in which a process stood still by our own hand."""
    age = interrupt.seconds_since_check or 0.0
    begins = interrupt.at - age
    return age - sum(max(0.0, min(interrupt.at, end) - max(begins, start)) for start, end in frozen)


def _by_job(starts: Sequence[Start]) -> dict[str, list[Start]]:
    found: dict[str, list[Start]] = defaultdict(list)
    for start in starts:
        found[start.job_id].append(start)
    return found
