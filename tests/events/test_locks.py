from events import locks


def test_no_two_advisory_locks_are_the_same():
    numbers = [value for name, value in vars(locks).items() if name.isupper()]

    assert len(numbers) >= 4
    assert len(set(numbers)) == len(numbers)
