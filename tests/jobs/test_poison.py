"""Which jobs are given up because Forge does not survive them."""

import pytest

from jobs.poison import is_poison

LOST, FAILED = "FORGE_CONNECTION_LOST", "FORGE_FAILED"


@pytest.mark.parametrize(
    ("before", "now", "poison"),
    [
        ([], LOST, False),
        ([LOST], LOST, True),
        ([LOST, FAILED], LOST, True),
        ([FAILED, FAILED], LOST, False),
        ([LOST], FAILED, False),
        ([LOST, LOST], FAILED, False),
    ],
)
def test_twice_is_enough_whatever_happened_between(before, now, poison):
    assert is_poison(before, now) is poison
