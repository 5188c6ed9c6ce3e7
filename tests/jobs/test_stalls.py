"""A generation is given up when nothing moves, and not before. R38, R55 by name."""

import pytest

from jobs.models import Slot
from servers.models import Health, Server

pytestmark = pytest.mark.django_db(transaction=True)

# In the tests a generation may stand still for 0.9 s, which stands for 15 minutes.


def test_a_job_of_forty_minutes_that_makes_progress_is_not_given_up(make_bench):
    bench = make_bench(seconds=2.4)

    job = bench.run(bench.job(steps=20))

    assert (job.status, job.retry_count) == ("completed", 0)


def test_r55_a_checkpoint_that_loads_for_longer_than_that_is_not_a_stall(bench):
    bench.forge.fault("slow_load", seconds=1.3)

    job = bench.run(bench.job())

    assert (job.status, job.retry_count) == ("completed", 0)


def test_one_that_hangs_is_given_up_while_another_server_goes_on(make_bench):
    hanging, healthy = make_bench("Hanging"), make_bench("Healthy")
    hanging.forge.fault("hang")
    job = hanging.job()
    given_up = hanging.run_in_background(job)

    done = [healthy.run(healthy.job()).status for _ in range(3)]

    assert done == ["completed"] * 3
    given_up.join(30)
    job.refresh_from_db()
    assert (job.status, job.errors[0]["code"]) == ("pending", "FORGE_STALLED")
    assert hanging.slot.state == Slot.State.DRAINING
    assert Server.objects.get(alias="Hanging").health == Health.NOT_READY


def test_the_slot_of_one_that_hung_is_free_again_once_its_forge_was_restarted(bench):
    bench.forge.fault("hang")
    job = bench.run(bench.job())

    bench.forge.restart()
    bench.recover(job)

    assert bench.slot.state == Slot.State.FREE


def test_r38_a_request_that_never_begins_is_given_up_and_goes_back(bench):
    bench.forge.fault("never_begin")

    job = bench.run(bench.job())

    assert (job.status, job.errors[0]["code"]) == ("pending", "FORGE_STALLED")
    assert bench.outcomes == []
    bench.recover(job)
    assert bench.slot.state == Slot.State.FREE
