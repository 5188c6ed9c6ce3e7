"""What a release writes to the database: told by it once, and said again to a later schema.

`release_before.json` was recorded by the release before this one, in its own checkout:
`RECORD_RELEASE=1 ./stablequeue test tests/upgrades`. At each release it is recorded anew.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.db import connection
from django.db.migrations.loader import MigrationLoader

from apikeys import registry
from jobs import images, lifecycle, presence, slots
from jobs.drafts import Draft
from jobs.models import Job, Process
from jobs.slots import Lease
from servers import fleet, health
from servers.forge import ForgeUnreachable
from servers.models import Server
from tests.factories import admit, make_claimed, make_job, make_server

RECORDED = Path(__file__).with_name("release_before.json")
_OF_THE_TRANSACTION_ALONE = ("SAVEPOINT", "RELEASE", "ROLLBACK")


def record() -> None:
    """Write down what this version does to the database during a job's life, and its migrations."""
    with _noted() as statements:
        _live()
    migrations = sorted(".".join(name) for name in MigrationLoader(None).disk_migrations)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    told = {"commit": commit, "migrations": migrations, "statements": statements}
    RECORDED.write_text(json.dumps(told, indent=1) + "\n")


def recorded() -> dict[str, Any]:
    return json.loads(RECORDED.read_text())


@contextmanager
def _noted() -> Iterator[list[Any]]:
    """Collect each statement, as it is sent, with the number of rows it found or changed."""
    statements: list[Any] = []

    def note(execute, sql, parameters, many, context):
        outcome = execute(sql, parameters, many, context)
        text = (
            connection.ops.compose_sql(  # type: ignore[attr-defined]
                sql, parameters
            )
            if parameters
            else sql
        )
        if not text.startswith(_OF_THE_TRANSACTION_ALONE):
            statements.append([context["cursor"].rowcount, " ".join(text.split())])
        return outcome

    with connection.execute_wrapper(note):
        yield statements


def _live() -> None:
    """All that the processes of StableQueue do to the database, once."""
    server = make_server("Upgraded")
    registry.create(name="of a client")
    presence.note(name="dispatcher@here:1", role=Process.Role.DISPATCHER)
    health.note(server, ForgeUnreachable("nobody answers"))
    _complete(make_job(server))
    _retry(make_job(server))
    _end_early(server)
    drafts = [Draft(kind="txt2img", parameters={}, seed=seed) for seed in (1, 2)]
    batch, _ = lifecycle.submit_many(server=server, drafts=drafts)
    lifecycle.cancel_batch(batch_id=batch.id)
    fleet.remove_server(server_id=server.id)


def _complete(job: Job) -> None:
    job, lease = make_claimed(job)
    slots.mark_sent(lease)
    slots.beat(lease, phase="generating", progress=0.5, eta_seconds=1.0)
    slots.free(lease)
    lifecycle.keep_saving(job_id=job.id, attempt=job.attempt)
    staged = images.stage(job_id=job.id, attempt=1, pictures=[b"picture"], seeds=[1])
    lifecycle.complete(job=job, attempt=1, pictures=staged, result={"images": []})
    lifecycle.delete(job_id=job.id)


def _retry(job: Job) -> None:
    why = {"code": "FORGE_FAILED", "message": "It failed."}
    job, lease = make_claimed(job)
    lifecycle.release(job_id=job.id, attempt=1, seconds=0, **why)
    slots.free(lease)
    job, lease = make_claimed(job)
    slots.mark_sent(lease)
    lifecycle.rescue(job_id=job.id, lease=lease)
    lease = Lease(lease.server_id, lease.task_id, lease.attempt + 1)
    slots.take_over(lease, worker="w2")
    lifecycle.retry_later(job_id=job.id, attempt=lease.attempt, **why)
    slots.free(lease)
    Job.objects.filter(id=job.id).update(not_before=None)
    job, lease = make_claimed(job)
    lifecycle.fail(job_id=job.id, attempt=job.attempt, **why)
    slots.free(lease)


def _end_early(server: Server) -> None:
    lifecycle.cancel(job_id=make_job(server).id)
    admitted = make_job(server)
    admit(admitted)
    lifecycle.cancel(job_id=admitted.id)
    job, lease = make_claimed(make_job(server))
    slots.mark_sent(lease)
    lifecycle.cancel(job_id=job.id)
    slots.beat(lease)
    slots.free(lease)
