"""Clocks jump by hours: of our processes, of Postgres. Nothing expires, nothing runs twice."""

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import pytest

from servers.simulator.server import ForgeSimulator
from tests.flows.engines.lab import laboratory, starts
from tests.flows.stack import eventually


def faketime():
    """libfaketime, which shifts the clock of whoever has it preloaded; None where there is none."""
    spec = importlib.util.find_spec("libfaketime")
    if spec is None or spec.origin is None:
        return None
    found = Path(spec.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    return found if found.exists() else None


pytestmark = pytest.mark.skipif(faketime() is None, reason="libfaketime is for Linux on x86-64")


class Clock:
    """The clock of some processes, as a file that shifts it."""

    def __init__(self, file):
        self._file = file
        self.shift("+0")
        self.environment = {
            "LD_PRELOAD": str(faketime()),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            # A real jump leaves it alone too.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def shift(self, by):
        self._file.write_text(f"{by}\n")


@pytest.fixture(scope="module")
def clocks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clocks")
    return {name: Clock(folder / name) for name in ("ours", "postgres")}


@pytest.fixture(scope="module")
def shifted_lab(tmp_path_factory, clocks):
    with laboratory(
        tmp_path_factory.mktemp("lab"),
        ours=clocks["ours"].environment,
        postgres_only=clocks["postgres"].environment,
    ) as lab:
        yield lab


@pytest.fixture
def lab(shifted_lab, clocks):
    yield shifted_lab
    for clock in clocks.values():
        clock.shift("+0")
    shifted_lab.wait_until_ready()
    shifted_lab.remove_servers()


def hours_of_postgres(lab):
    """How far its clock is from that of this test."""
    [(hours,)] = lab.postgres.ask(
        "SELECT round(extract(epoch FROM clock_timestamp() - %s::timestamptz) / 3600)",
        datetime.now(UTC),
    )
    return int(hours)


@pytest.mark.parametrize("whose", ["ours", "postgres"])
def test_r58_r59_jumps_expire_no_lease_and_start_nothing_twice(lab, clocks, whose):
    with ForgeSimulator(seconds=4) as slow, ForgeSimulator(seconds=0.2) as forge:
        alias = lab.add_server(forge.port)
        running = lab.generate(lab.add_server(slow.port), seed=1)
        eventually(lambda: lab.job(running)["phase"] == "generating", what="drawing")

        jobs = []
        for seed, hours in ((2, 2), (3, -2)):
            clocks[whose].shift(f"{hours:+}h")
            eventually(lambda hours=hours: has_jumped(lab, whose, hours), what="the jump")
            jobs.append(lab.generate(alias, seed=seed))

        for job_id in (running, *jobs):
            job = lab.wait_for(job_id)
            assert (job["status"], job["retry_count"]) == ("completed", 0)
        assert starts(slow, forge) == dict.fromkeys(range(1, 4), 1)
        assert "no sign of life" not in lab.said()


def has_jumped(lab, whose, hours):
    if whose == "postgres":
        return hours_of_postgres(lab) == hours
    told = datetime.fromisoformat(lab.health()["at"])
    return round((told - datetime.now(UTC)).total_seconds() / 3600) == hours
