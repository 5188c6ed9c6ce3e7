"""All of it ends at once, and is started again in any order."""

import sys
import time

import pytest

from jobs import scheduling
from servers.simulator.server import ForgeSimulator
from tests.flows.engines.lab import starts
from tests.flows.stack import eventually


@pytest.fixture
def two_forges():
    with ForgeSimulator(seconds=1) as one, ForgeSimulator(seconds=1) as other:
        yield one, other


def ended(lab, jobs):
    return {lab.wait_for(job_id, seconds=60)["status"] for job_id in jobs}


def switch_on(lab, order):
    """Start the engines and ours in this order; the last of them waits until all is ready."""
    starting = {
        "postgres": lab.postgres.start,
        "redis": lab.redis.start,
        "stablequeue": lab.begin,
    }
    for name in order:
        starting[name]()
    lab.wait_until_ready()


def test_r61_after_a_power_cut_all_jobs_end_and_only_the_running_ones_are_drawn_again(
    lab, two_forges
):
    aliases = [lab.add_server(forge.port) for forge in two_forges]
    jobs = [lab.generate(aliases[seed % 2], seed=seed) for seed in range(8)]
    running = [
        eventually(
            lambda job_id=job_id: lab.job(job_id)["phase"] == "generating" and job_id,
            what="two drawing",
        )
        for job_id in jobs[:2]
    ]

    lab.kill_all()
    switch_on(lab, ["stablequeue", "redis", "postgres"])

    assert len(running) == 2
    assert ended(lab, jobs) == {"completed"}
    drawn = starts(*two_forges)
    assert {seed: n for seed, n in drawn.items() if seed > 1} == dict.fromkeys(range(2, 8), 1)
    assert all(drawn[seed] <= 2 for seed in (0, 1))
    assert max(forge.journal.max_parallel for forge in two_forges) == 1


def test_r63_ten_thousand_waiting_jobs_outlive_a_wipe_and_a_power_cut(lab, capsys):
    with ForgeSimulator(seconds=0.1) as forge:
        alias = lab.add_server(forge.port)
        batches = [lab.generate_many(alias, 1000) for _ in range(10)]
        eventually(lambda: starts(forge), what="the first drawing")

        lab.redis.client.flushall()
        lab.kill_all()
        switch_on(lab, ["postgres", "redis", "stablequeue"])
        began, drawn = time.monotonic(), starts(forge).total()
        eventually(lambda: starts(forge).total() >= drawn + 10, what="ten more drawings")
        healed = time.monotonic() - began
        chosen = how_long_it_takes_to_choose(lab)

        with capsys.disabled():
            sys.stdout.write(
                f"\n10,000 waiting: ten drawn in {healed:.1f} s, each chosen in {chosen:.1f} ms\n"
            )
        assert lab.waiting(alias) > 9_000
        for batch_id in batches:
            lab.cancel_batch(batch_id)
        assert lab.waiting(alias) == 0
        assert forge.journal.max_parallel == 1


def how_long_it_takes_to_choose(lab):
    """Milliseconds of the statement that chooses the next job, with every slot free."""
    # As if all were idle; rolled back.
    with lab.postgres.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute("UPDATE jobs_slot SET state = 'free', job_id = NULL")
        plan = connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {scheduling._HEADS}", {"able": ["online", "unknown"]}
        )
        return plan.fetchone()[0][0]["Execution Time"]
