from jobs import backoff


def test_waits_double_and_stay_within_their_jitter():
    for retry_count, longest in ((1, 5), (2, 10), (3, 20)):
        waits = [backoff.retry_wait(retry_count) for _ in range(200)]

        assert all(longest / 2 <= wait <= longest for wait in waits)
        assert len(set(waits)) > 100


def test_a_wait_is_never_longer_than_five_minutes():
    assert backoff.retry_wait(40) <= backoff.LONGEST_WAIT
