"""Postgres may restart, crash, be locked or full: what it had confirmed is kept, and runs once."""

import contextlib
import secrets

import pytest
import requests

from servers.simulator.server import ForgeSimulator
from tests.flows.engines.lab import starts
from tests.flows.stack import eventually


@pytest.fixture
def slow():
    with ForgeSimulator(seconds=2) as simulator:
        yield simulator


@pytest.fixture
def postgres(lab):
    """Runs again afterwards, whatever the story did to it."""
    yield lab.postgres
    if not lab.postgres.is_running():
        lab.postgres.start()


def drawing(lab, job_id):
    eventually(lambda: lab.job(job_id)["phase"] == "generating", what="drawing")


def completed(lab, job_id):
    """Wait until the job is completed, through all that fails on the way."""

    def is_completed():
        with contextlib.suppress(requests.RequestException, AssertionError):
            return lab.job(job_id)["status"] == "completed"

    return eventually(is_completed, seconds=60, what=f"job {job_id[:8]} completed")


def test_r28_a_restart_in_mid_generation_costs_no_second_drawing(lab, postgres, slow):
    job_id = lab.generate(lab.add_server(slow.port), seed=1)
    drawing(lab, job_id)

    postgres.restart("fast")

    assert completed(lab, job_id)
    assert starts(slow) == {1: 1}
    assert lab.job(job_id)["retry_count"] == 0


@pytest.mark.parametrize("failpoint", ["after_claim", "after_response", "after_publish"])
def test_r29_a_crash_after_any_step_loses_nothing_and_draws_nothing_twice(
    lab, postgres, forge, failpoint
):
    alias = lab.add_server(forge.port)
    lab.fail_at(failpoint, "sleep=1")
    job_id = lab.generate(alias, seed=1)
    lab.until_failed_at(failpoint)

    postgres.restart("immediate")

    assert completed(lab, job_id)
    assert len(lab.job(job_id)["result_details"]["images"]) == 1
    assert completed(lab, lab.generate(alias, seed=2))
    assert starts(forge) == {1: 1, 2: 1}


def test_r30_without_postgres_a_submit_is_refused_soon_and_leaves_nothing(lab, postgres, forge):
    alias = lab.add_server(forge.port)
    postgres.stop("fast")

    answer = lab.try_to_generate(alias, seed=1)
    told = requests.get(f"{lab.url}/health", timeout=10)
    postgres.start()
    lab.wait_until_ready()

    assert answer.status_code == 503, answer.text
    assert answer.json()["details"]["code"] == "DATABASE_UNAVAILABLE"
    assert answer.headers["Retry-After"]
    assert answer.elapsed.total_seconds() < 10
    assert (told.status_code, told.json()["status"]) == (503, "down")
    assert completed(lab, lab.generate(alias, seed=2))
    assert starts(forge) == {2: 1}


def test_a_postgres_that_answers_nothing_hangs_no_question_after_our_health(lab, postgres):
    postgres.freeze()
    try:
        answers = [requests.get(f"{lab.url}/health", timeout=10) for _ in range(3)]
    finally:
        postgres.thaw()

    # The client's own limit; each answer waits for two seconds at most.
    assert [answer.status_code for answer in answers] == [503] * 3
    lab.until_well()


def test_r31_a_worker_whose_connections_are_cut_keeps_its_lease(lab, slow):
    job_id = lab.generate(lab.add_server(slow.port), seed=1)
    drawing(lab, job_id)

    ports = [
        connection.laddr.port for connection in lab.one("celery", "--servers").net_connections()
    ]
    cut = lab.postgres.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY(%s)", ports
    )

    assert cut
    assert completed(lab, job_id)
    assert starts(slow) == {1: 1}
    assert lab.job(job_id)["retry_count"] == 0


def test_r32_a_locked_table_is_answered_with_503_and_nothing_runs_twice(lab, forge):
    alias = lab.add_server(forge.port)
    before = [lab.generate(alias, seed=seed) for seed in range(3)]

    with lab.postgres.connect() as holder, holder.transaction():
        holder.execute("LOCK TABLE jobs_job IN ACCESS EXCLUSIVE MODE")
        answer = lab.try_to_generate(alias, seed=3)

    assert answer.status_code == 503, answer.text
    assert answer.json()["details"]["code"] == "DATABASE_UNAVAILABLE"
    assert all(completed(lab, job_id) for job_id in before)
    assert starts(forge) == {0: 1, 1: 1, 2: 1}


def test_r33_a_full_volume_refuses_submits_and_keeps_a_drawn_result(lab, postgres, slow):
    if not lab.volume.is_small:
        pytest.skip("a small volume can be mounted only as root, with the right to mount")
    alias = lab.add_server(slow.port)
    running = lab.generate(alias, seed=1)
    drawing(lab, running)

    with lab.volume.full():
        refused = eventually(lambda: refusal(lab, alias), what="a refused submit")
        eventually(lambda: not slow_draws(slow), what="the end of the drawing")
    if not postgres.is_running():
        postgres.start()

    assert refused["details"]["code"] == "DATABASE_UNAVAILABLE"
    assert completed(lab, running)
    assert starts(slow)[1] == 1


def refusal(lab, alias):
    """Submit a job that needs room; returns the body of an answer that says there is none."""
    answer = lab.try_to_generate(alias, positive_prompt=secrets.token_hex(30_000), seed=2)
    return answer.json() if answer.status_code == 503 else None


def slow_draws(forge):
    return any(entry.outcome == "running" for entry in forge.journal.generations)
