"""What jobs a batch is made of, and in which order."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.expansion import MAX_JOBS, Axes, Plan, TooManyJobs, expand
from jobs.parameters import MAX_SEED

COMMON = {"positive_prompt": "a cat", "steps": 20, "seed": 100}

PARAMETERS = ("steps", "cfg_scale", "sampler_name", "width", "height")
values = st.lists(st.integers(1, 50), min_size=1, max_size=4, unique=True)


@st.composite
def axes(draw):
    """Up to two groups over different parameters, on a grid or in step."""
    names = draw(st.permutations(PARAMETERS))
    groups = []
    for _ in range(draw(st.integers(0, 2))):
        chosen = {names.pop(): draw(values) for _ in range(draw(st.integers(1, 2)))}
        mode = draw(st.sampled_from(["grid", "zip"]))
        if mode == "zip":
            shortest = min(map(len, chosen.values()))
            chosen = {name: chosen[name][:shortest] for name in chosen}
        groups.append(Axes(mode, chosen))
    return groups


def size(plan):
    return (len(plan.prompts) or 1) * math.prod(map(len, plan.axes)) * plan.copies


plans = st.builds(
    Plan,
    prompts=st.lists(st.text(min_size=1), max_size=3, unique=True),
    axes=axes(),
    copies=st.integers(1, 3),
    seed_variation=st.sampled_from(["random", "incremental"]),
).filter(lambda plan: size(plan) <= MAX_JOBS)


def told(variants, *names):
    return [tuple(variant.parameters[name] for name in names) for variant in variants]


def without_seed(variant):
    return tuple(sorted((k, v) for k, v in variant.parameters.items() if k != "seed"))


@given(plans)
def test_every_choice_of_values_is_made_once_per_copy(plan):
    variants = expand(COMMON, plan)

    counted = Counter(map(without_seed, variants))
    assert len(variants) == size(plan)
    assert set(counted.values()) == {plan.copies}


@given(plans)
def test_a_plan_always_unfolds_the_same_way(plan):
    first = expand(COMMON, plan, draw=lambda below: below - 1)
    second = expand(COMMON, plan, draw=lambda below: below - 1)

    assert first == second


@given(plans)
def test_the_seed_of_a_job_stands_in_its_parameters_and_fits_the_database(plan):
    for variant in expand({**COMMON, "seed": MAX_SEED}, plan):
        assert variant.parameters["seed"] == variant.seed
        assert 0 <= variant.seed <= MAX_SEED


@given(plans)
def test_what_the_plan_does_not_name_stays_as_it_was(plan):
    common = dict(COMMON)
    named = {"positive_prompt", "seed"}.union(*(group.values for group in plan.axes))

    variants = expand(common, plan)

    assert common == COMMON
    assert all(
        variant.parameters[k] == COMMON[k] for variant in variants for k in {*COMMON} - named
    )


def test_jobs_come_as_in_nested_loops_prompts_outermost_and_copies_innermost():
    plan = Plan(prompts=["a", "b"], axes=[Axes("grid", {"steps": [10, 20]})], copies=2)

    variants = expand(COMMON, plan)

    assert told(variants, "positive_prompt", "steps", "seed") == [
        *[("a", 10, 100), ("a", 10, 101), ("a", 20, 100), ("a", 20, 101)],
        *[("b", 10, 100), ("b", 10, 101), ("b", 20, 100), ("b", 20, 101)],
    ]


def test_a_grid_crosses_its_parameters_and_the_last_changes_fastest():
    plan = Plan(axes=[Axes("grid", {"steps": [10, 20], "cfg_scale": [5, 7]})])

    variants = expand(COMMON, plan)

    assert told(variants, "steps", "cfg_scale") == [(10, 5), (10, 7), (20, 5), (20, 7)]


def test_in_step_the_first_goes_with_the_first():
    plan = Plan(axes=[Axes("zip", {"width": [512, 768], "height": [768, 512]})])

    variants = expand(COMMON, plan)

    assert told(variants, "width", "height") == [(512, 768), (768, 512)]


def test_a_grid_and_values_in_step_multiply():
    together = Axes("zip", {"width": [512, 768], "height": [768, 512]})
    plan = Plan(axes=[together, Axes("grid", {"steps": [10, 20]})])

    variants = expand(COMMON, plan)

    assert told(variants, "width", "steps") == [(512, 10), (512, 20), (768, 10), (768, 20)]


@pytest.mark.parametrize("left_open", [{}, {"seed": ""}, {"seed": -1}, {"seed": None}])
def test_a_seed_left_open_is_drawn_once_so_that_places_on_an_axis_compare(left_open):
    plan = Plan(axes=[Axes("grid", {"steps": [10, 20]})], copies=2)

    seeds = [variant.seed for variant in expand({"positive_prompt": "a cat", **left_open}, plan)]

    assert seeds[:2] == seeds[2:] == [seeds[0], seeds[0] + 1]


def test_a_seed_in_words_counts_as_one():
    variants = expand({**COMMON, "seed": "7"}, Plan(copies=2))

    assert [variant.seed for variant in variants] == [7, 8]


def test_random_draws_a_seed_for_every_job_whatever_the_client_gave():
    drawn = iter(range(1, 10))

    variants = expand(COMMON, Plan(copies=3, seed_variation="random"), draw=lambda _: next(drawn))

    assert [variant.seed for variant in variants] == [2, 3, 4]


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        (Plan(prompts=["a"] * 1001), "prompts"),
        (Plan(prompts=["a"] * 11, axes=[Axes("grid", {"steps": [1] * 100})]), "axes"),
        (Plan(axes=[Axes("grid", {"a": [1] * 40, "b": [1] * 40})]), "axes"),
        (Plan(prompts=["a"] * 501, copies=2), "bulk_quantity"),
    ],
)
def test_more_jobs_than_a_batch_may_have_are_refused_by_the_field_that_went_too_far(plan, field):
    with pytest.raises(TooManyJobs) as refused:
        expand(COMMON, plan)

    assert refused.value.field == field


def test_a_full_batch_is_allowed():
    assert len(expand(COMMON, Plan(prompts=["a"] * 100, copies=10))) == MAX_JOBS
