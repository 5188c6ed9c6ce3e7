"""Whose turn it is, as a pure function, replayed in virtual time."""

import itertools
import random
from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.policy import Bound, Head, Standing, choose

BOUND = Bound(most=50, longest=600.0)
STRICT = Bound(most=0, longest=0.0)
A, B, C = (UUID(int=number) for number in (1, 2, 3))


@dataclass
class Line:
    """What waits for one server, with a clock of its own."""

    bound: Bound = BOUND
    loaded: str = ""
    now: float = 0.0
    seconds: float = 1.0
    waiting: list[Head] = field(default_factory=list)
    standings: dict[UUID, Standing] = field(default_factory=dict)
    started: list[Head] = field(default_factory=list)
    loads: int = 0
    _number: int = 0

    def add(self, owner, checkpoint, *, count=1):
        for _ in range(count):
            self._number += 1
            job = Head(
                UUID(int=self._number), owner, (False, 5), self._number, checkpoint, self.now
            )
            self.waiting.append(job)

    def heads(self):
        """What the database is asked for: of each key its first, and its first warm ones."""
        by_age = sorted(self.waiting, key=lambda job: job.position)
        for owner in {job.owner for job in by_age}:
            own = [job for job in by_age if job.owner == owner]
            yield own[0]
            for wanted in {self.loaded, ""}:
                yield from [job for job in own if job.checkpoint == wanted][:1]

    def step(self):
        decision = choose(
            list(dict.fromkeys(self.heads())),
            loaded=self.loaded,
            standings=self.standings,
            bound=self.bound,
            now=self.now,
        )
        if decision is None:
            return None
        job = decision.head
        self.standings |= decision.standings
        self.waiting.remove(job)
        self.started.append(job)
        if job.checkpoint not in ("", self.loaded):
            self.loaded = job.checkpoint
            self.loads += 1
        self.now += self.seconds
        return job

    def run(self):
        while self.step():
            pass
        return self.started


def owners(jobs):
    return "".join({A: "A", B: "B", C: "C"}[job.owner] for job in jobs)


# --- one key -------------------------------------------------------------------------


def test_nothing_waits_and_nobody_is_chosen():
    assert choose([], loaded="", standings={}, bound=BOUND, now=0) is None


def test_sixty_jobs_that_alternate_over_three_checkpoints_load_each_once():
    line = Line()
    for _ in range(20):
        for checkpoint in ("x", "y", "z"):
            line.add(A, checkpoint)

    assert len(line.run()) == 60
    assert line.loads == 3


def test_a_job_that_wants_no_checkpoint_goes_with_any():
    line = Line(loaded="x")
    line.add(A, "y")
    line.add(A, "")
    line.add(A, "x")

    assert [job.checkpoint for job in line.run()] == ["", "x", "y"]


def test_with_a_bound_of_nothing_jobs_go_in_the_order_they_came():
    line = Line(bound=STRICT)
    for checkpoint in "xyxyxy":
        line.add(A, checkpoint)

    assert [job.checkpoint for job in line.run()] == list("xyxyxy")


def test_after_fifty_younger_ones_the_older_job_goes():
    line = Line(loaded="x")
    line.add(A, "y")
    line.add(A, "x", count=80)

    started = line.run()

    assert [job.checkpoint for job in started].index("y") == 50


def test_after_ten_minutes_the_older_job_goes():
    line = Line(loaded="x", seconds=100.0)
    line.add(A, "y")
    line.add(A, "x", count=80)

    started = line.run()

    # The first younger one went at 0 s, the last one before 600 s at 500 s.
    assert [job.checkpoint for job in started].index("y") == 6


# --- several keys --------------------------------------------------------------------


def test_keys_take_turns_however_many_jobs_each_has():
    line = Line()
    line.add(A, "x", count=6)
    line.add(B, "x", count=2)
    line.add(C, "x", count=1)

    assert owners(line.run()) == "ABCABAAAA"


def test_a_key_that_comes_later_has_its_turn_at_once():
    line = Line()
    line.add(A, "x", count=9)
    for _ in range(3):
        line.step()
    line.add(B, "x", count=2)

    assert owners(line.run()) == "AAAABABAAAA"


def test_keys_with_checkpoints_of_their_own_take_long_turns():
    line = Line()
    line.add(A, "x", count=30)
    line.add(B, "y", count=30)

    line.run()

    assert line.loads == 2


def test_a_key_is_passed_fifty_times_at_most():
    line = Line(loaded="x")
    line.add(A, "x", count=200)
    line.add(B, "y", count=1)

    assert owners(line.run()).index("B") == 50


def test_what_happened_before_a_key_came_back_is_forgotten():
    line = Line(loaded="x")
    line.add(A, "x", count=200)
    line.add(B, "y")
    for _ in range(30):
        line.step()
    # Its job is cancelled; much later it sends another one.
    line.waiting = [job for job in line.waiting if job.owner == A]
    line.now += 10_000
    line.add(B, "y")
    before = len(line.started)

    assert owners(line.run()[before:]).index("B") == 50


def test_standings_of_nobody_who_waits_are_not_touched():
    line = Line()
    line.add(A, "x", count=3)

    line.run()

    assert line.standings == {}


# --- any order of events -------------------------------------------------------------

arrivals = st.lists(
    st.tuples(st.sampled_from([A, B, C]), st.sampled_from(["", "x", "y", "z"]), st.integers(1, 9)),
    min_size=1,
    max_size=40,
)
bounds = st.builds(Bound, st.integers(0, 6), st.sampled_from([0.0, 3.0, 1e9]))


def replay(line, events):
    """Jobs come, and after each lot one is started; at last all are."""
    history = []
    for owner, checkpoint, count in events:
        line.add(owner, checkpoint, count=count)
        history += [(list(line.waiting), line.now, line.step())]
    while line.waiting:
        history += [(list(line.waiting), line.now, line.step())]
    return history


@given(arrivals, bounds)
def test_a_free_server_never_idles_while_something_waits(events, bound):
    assert all(job is not None for _, _, job in replay(Line(bound=bound), events))


@given(arrivals, bounds)
def test_nobody_is_overtaken_by_more_of_its_own_key_than_the_bound(events, bound):
    overtaken = Counter()
    since = {}
    for waiting, now, job in replay(Line(bound=bound), events):
        for other in waiting:
            if other.owner == job.owner and other.position < job.position:
                overtaken[other] += 1
                assert overtaken[other] <= bound.most
                assert now - since.setdefault(other, now) <= bound.longest


@given(arrivals, st.integers(0, 6))
def test_no_key_is_passed_more_often_than_the_bound_and_the_others_allow(events, most):
    passed = Counter()
    for waiting, _, job in replay(Line(bound=Bound(most, 1e9)), events):
        keys = {other.owner for other in waiting}
        passed = Counter({owner: passed[owner] + 1 for owner in keys - {job.owner}})
        assert max(passed.values(), default=0) <= max(most, 0) + 2


@given(arrivals)
def test_without_a_bound_to_use_keys_take_turns_exactly(events):
    line = Line(bound=STRICT)
    for owner, checkpoint, count in events:
        line.add(owner, checkpoint, count=count)
    line.run()

    left = Counter(job.owner for job in line.started)
    for cycle in itertools.count():
        alive = [owner for owner in left if left[owner] > cycle]
        if not alive:
            break
        at = sum(min(count, cycle) for count in left.values())
        turn = line.started[at : at + len(alive)]
        assert sorted(job.owner for job in turn) == sorted(alive)


@pytest.mark.parametrize("seed", range(1, 21))
def test_a_mixed_trace_loads_at_most_half_as_often_as_first_come_first_served(seed):
    draw = random.Random(seed)
    events = [(draw.choice([A, B, C]), draw.choice("wxyz"), draw.randint(1, 3)) for _ in range(100)]
    line = Line(seconds=5.0)
    replay(line, events)
    first_come = sorted(line.started, key=lambda job: job.position)
    rival = sum(one.checkpoint != other.checkpoint for one, other in itertools.pairwise(first_come))

    assert line.loads <= rival / 2
