from jobs.leases import LeaseWatch


def test_a_lease_whose_beat_stands_still_for_the_given_looks_is_dead():
    watch = LeaseWatch(dead_after=3)

    looks = [watch.look({"gpu": 7}) for _ in range(4)]

    assert looks == [[], [], [], ["gpu"]]


def test_one_new_beat_starts_the_count_again():
    watch = LeaseWatch(dead_after=2)

    looks = [watch.look({"gpu": beat}) for beat in (1, 1, 2, 2, 2)]

    assert looks == [[], [], [], [], ["gpu"]]


def test_leases_are_counted_apart_and_forgotten_when_they_end():
    watch = LeaseWatch(dead_after=1)
    watch.look({"a": 1, "b": 1})

    dead = watch.look({"a": 1, "b": 2})
    watch.look({"b": 3})
    back = watch.look({"a": 1, "b": 4})

    assert dead == ["a"]
    assert back == []
