"""A server with a simulated Forge behind it, and attempts that run in the test itself."""

from __future__ import annotations

import contextlib
import threading

import pytest
from django.db import connection

from jobs import recovery, runner
from jobs.models import Slot
from servers.address import Address
from servers.simulator.server import ForgeSimulator
from tests.factories import admit, make_job, make_server


class Bench:
    """One server, its simulated Forge, and the worker's and the dispatcher's moves by hand."""

    def __init__(self, forge: ForgeSimulator, alias: str, **options: object) -> None:
        self.forge = forge
        self.server = make_server(
            alias, address=Address("http", "127.0.0.1", forge.port), **options
        )

    def job(self, **parameters):
        return make_job(self.server, **parameters)

    def run(self, job):
        """One attempt, as a worker runs it; returns the job as it is afterwards."""
        attempt = admit(job)
        assert attempt is not None
        runner.run(job_id=job.id, attempt=attempt, worker="w1")
        job.refresh_from_db()
        return job

    def run_in_background(self, job):
        """The same in a thread of its own, which is returned."""

        def run():
            with contextlib.closing(connection):
                self.run(job)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def recover(self, job):
        """A recovery of the slot, as another worker does it."""
        slot = self.slot
        recovery.recover(server_id=self.server.pk, attempt=slot.attempt, worker="w2")
        job.refresh_from_db()
        return job

    @property
    def slot(self) -> Slot:
        return Slot.objects.get(server=self.server)

    @property
    def outcomes(self) -> list[str]:
        return [entry.outcome for entry in self.forge.journal.generations]


@pytest.fixture
def patience(settings, tmp_path):
    """Times short enough for a test; a generation stands still for 0.9 s before it is given up."""
    settings.OUTPUTS_DIR = tmp_path
    settings.TIME_SCALE = 0.1
    settings.STALL_AFTER = 0.9
    settings.WORKER_BEAT = 0.2
    return settings


@pytest.fixture
def make_bench(patience):
    """Adds servers; their Forges draw in a fifth of a second unless told otherwise."""
    with contextlib.ExitStack() as forges:

        def make(alias="Laptop", *, keeps_copies=True, **forge):
            forge = {"seconds": 0.2, "load_seconds": 0.0, **forge}
            running = forges.enter_context(ForgeSimulator(**forge))
            return Bench(running, alias, keeps_copies=keeps_copies)

        yield make


@pytest.fixture
def bench(make_bench):
    return make_bench()
