"""What the benchmarks print."""

import pytest

from bench.report import HEADINGS, Row, percentile, table


@pytest.mark.parametrize(
    ("percent", "expected"), [(50, 5), (95, 10), (90, 9), (0, 1), (100, 10), (51, 6)]
)
def test_a_percentile_is_one_of_the_values(percent, expected):
    assert percentile([3, 1, 2, 10, 9, 8, 7, 6, 5, 4], percent) == expected


def test_a_single_value_is_its_own_percentile():
    assert percentile([0.25], 95) == 0.25


def test_the_table_says_how_often_how_long_and_how_far_from_the_ideal():
    rows = [
        Row("gap", [0.0301, 0.0299, 0.5], "busy 94.0%", "busy 100%", 1.064),
        Row("makespan", (), "9.00 s", "7.50 s", 1.2),
    ]

    lines = table(rows).splitlines()

    assert [" ".join(line.split()) for line in lines] == [
        " ".join(HEADINGS[1:]),
        "gap 3 30.1 ms 500.0 ms 500.0 ms busy 94.0% busy 100% 1.06",
        "makespan 9.00 s 7.50 s 1.20",
    ]


def test_the_columns_stand_below_each_other():
    lines = table([Row("a", [1.0]), Row("a longer name", [0.001], ratio=2.0)]).splitlines()

    assert lines[1].index("1000.0 ms") + len("1000.0 ms") == lines[2].index("1.0 ms") + len(
        "1.0 ms"
    )
