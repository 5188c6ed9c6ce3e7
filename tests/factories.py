"""The cast of the tests: plain functions whose defaults tell a readable story."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image as Picture

from jobs import images, lifecycle, slots
from jobs.models import Job, Slot
from jobs.slots import Lease
from servers import fleet
from servers.address import Address
from servers.models import Server


def make_server(alias: str = "Laptop", **options: Any) -> Server:
    options.setdefault("address", Address("http", "127.0.0.1", 7860))
    server = fleet.add_server(alias=alias, **options)
    Slot.objects.get_or_create(server=server)
    return server


def make_job(server: Server | None = None, **parameters: Any) -> Job:
    parameters.setdefault("positive_prompt", "a beautiful landscape")
    if server is None:
        server = Server.objects.first() or make_server()
    return lifecycle.submit(server=server, kind="txt2img", parameters=parameters, seed=1)


def admit(job: Job) -> int | None:
    """Promise the job its server's slot, as the dispatcher does."""
    job.refresh_from_db(fields=["attempt"])
    return lifecycle.admit(job_id=job.id, last_attempt=job.attempt, server_id=job.server_id)


def make_claimed(job: Job | None = None, worker: str = "w1") -> tuple[Job, Lease]:
    """A job that a worker has just begun to work on."""
    job = job or make_job()
    attempt = admit(job)
    assert attempt is not None
    claimed = lifecycle.claim(job_id=job.id, attempt=attempt, worker=worker)
    assert claimed is not None
    return claimed


def png(colour: str = "red", size: tuple[int, int] = (8, 8)) -> bytes:
    """A picture as Forge would send it."""
    file = io.BytesIO()
    Picture.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def make_completed(job: Job | None = None, *pictures: bytes) -> Job:
    """A job with its pictures on disk, in settings.OUTPUTS_DIR."""
    job, lease = make_claimed(job)
    contents = pictures or (png(),)
    staged = images.stage(
        job_id=job.id, attempt=job.attempt, pictures=contents, seeds=range(len(contents))
    )
    names = [picture.name for picture in staged]
    lifecycle.complete(job=job, attempt=job.attempt, pictures=staged, result={"images": names})
    slots.free(lease)
    images.discard_staging(job_id=job.id, attempt=job.attempt)
    job.refresh_from_db()
    return job
