"""A plan follows from its seed, and forgets no failpoint."""

import itertools

from chaos import plan
from chaos.steps import STEPS, fleet
from chaos.steps.failpoints import ACTIONS
from jobs.failpoints import Action, Failpoint

NAMES = list(STEPS)


def first_rounds(seed, count=40):
    return list(itertools.islice(plan.endless(seed, NAMES), count))


def test_a_seed_means_the_same_every_time():
    assert first_rounds(5) == first_rounds(5)
    assert first_rounds(5) != first_rounds(6)


def test_every_step_has_its_turn():
    done = {move.step for one in first_rounds(5, 200) for move in one.moves}

    assert done == set(NAMES)


def test_one_server_is_changed_at_a_time():
    changes = {step.__name__.replace("_", "-") for step in fleet.STEPS}

    for one in first_rounds(5, 200):
        assert sum(move.step in changes for move in one.moves) <= 1


def test_a_coverage_run_arms_every_failpoint_with_every_action_once():
    armed = [pair for one in plan.counted(1, ACTIONS, []) for pair in one.failpoints]

    assert sorted(armed) == sorted(itertools.product(Failpoint, ACTIONS))


def test_no_failpoint_is_armed_twice_in_a_round():
    for one in plan.counted(1, ACTIONS, []):
        names = [name for name, _ in one.failpoints]
        assert len(set(names)) == len(names)


def test_every_action_is_one():
    assert {Action.parse(action).word for action in ACTIONS} == set(ACTIONS)


def test_steps_that_are_named_are_done_in_their_order():
    rounds = list(plan.counted(1, [], ["wipe-redis", "cut-the-power"]))

    assert [move.step for one in rounds for move in one.moves] == ["wipe-redis", "cut-the-power"]
