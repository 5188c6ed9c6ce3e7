"""Where a test can make a process of ours fail."""

import ast
import collections
from pathlib import Path

import pytest

import jobs
from jobs.failpoints import Action, Failpoint, FailpointError, Plan, reach
from tests.project.test_guard_settings import read


def places():
    """How often each failpoint is reached in the code."""
    found = collections.Counter()
    for path in Path(jobs.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reach":
                found[getattr(node.args[0], "attr", "?")] += 1
    return found


def test_each_failpoint_is_reached_at_one_place():
    assert places() == {failpoint.name: 1 for failpoint in Failpoint}


def test_a_plan_names_what_happens_where():
    plan = Plan.parse("after_claim:raise, beat:sleep=0.5")

    assert plan.take(Failpoint.AFTER_CLAIM) == Action("raise")
    assert plan.take(Failpoint.BEAT) == Action("sleep", 0.5)
    assert plan.take(Failpoint.BEFORE_SEND) is None


@pytest.mark.parametrize("text", ["nowhere:raise", "beat:explode", "beat", "beat:sleep=soon"])
def test_a_plan_that_means_nothing_is_refused(text):
    with pytest.raises(ValueError, match=r"failpoint|action|float"):
        Plan.parse(text)


def test_an_action_from_the_folder_is_used_up_by_the_first_who_comes_by(tmp_path, settings):
    settings.FAILPOINTS = Plan.parse(f"@{tmp_path}")
    (tmp_path / "after_claim").write_text("raise")

    with pytest.raises(FailpointError):
        reach(Failpoint.AFTER_CLAIM)
    reach(Failpoint.AFTER_CLAIM)


def test_failpoints_are_refused_outside_of_tests():
    refused = read("FAILPOINTS", STABLEQUEUE_FAILPOINT="after_claim:kill9")
    accepted = read("FAILPOINTS", STABLEQUEUE_FAILPOINT="after_claim:kill9", STABLEQUEUE_TEST="1")

    assert refused.returncode != 0
    assert "STABLEQUEUE_TEST" in refused.stderr
    assert "kill9" in accepted.stdout
