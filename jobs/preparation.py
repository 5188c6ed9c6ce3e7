"""What is asked of Forge for a job: which checkpoint and scheduler, and the request's body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobs import inputs, payload
from jobs.models import Job
from models_catalog import names
from servers import fleet
from servers.forge import Checkpoint, ForgeInUse
from servers.forge_ways import Forge


@dataclass(frozen=True)
class Plan:
    """What a job's words mean on its server.

    `checkpoint` is None for the one the server has selected. `warnings` are sentences about
    what could not be had as asked.
    """

    checkpoint: Checkpoint | None
    scheduler: str = ""
    warnings: tuple[str, ...] = ()

    def warning(self, sentence: str) -> Plan:
        """The same plan with one more sentence to tell."""
        return replace(self, warnings=(*self.warnings, sentence))


def plan(client: Forge, job: Job) -> Plan:
    """Look the job's words up on its server's own lists.

    Forge draws with whatever is loaded when it doesn't know a name, and says nothing.
    Raises ForgeError and the errors of models_catalog.names.
    """
    planned = Plan(None)
    wanted = payload.wanted_checkpoint(job.parameters)
    if not names.is_no_override(wanted):
        match = names.match(wanted, client.checkpoints())
        planned = Plan(match.listed)
        if match.warning == names.HASH_MISMATCH:
            planned = planned.warning(
                f"The file on {job.target_alias} has another hash than asked for."
            )
    scheduler = payload.wanted_scheduler(job.parameters)
    if scheduler and scheduler not in client.schedulers():
        return planned.warning(
            f"{job.target_alias} knows no scheduler {scheduler!r}; it used its own choice."
        )
    return replace(planned, scheduler=scheduler)


def body(client: Forge, job: Job, planned: Plan) -> dict[str, Any]:
    """The request's body. Raises ForgeError, and OSError for an input that cannot be read."""
    told = payload.build(
        job.parameters,
        seed=job.seed,
        checkpoint=planned.checkpoint.name if planned.checkpoint else "",
        scheduler=planned.scheduler,
        read_input=inputs.reader_of(job),
    )
    _require_pins(client, job, told.get("override_settings", {}))
    if job.server.keeps_copies and _copies_leave_no_trace(client, job):
        count = payload.image_count(job.parameters)
        told = payload.keeping_copies(told, task_id=job.task_id, count=count)
    return told


def heeding_the_way(client: Forge, planned: Plan, body: dict[str, Any]) -> Plan:
    """Tell of what cannot be asked for in the way this Forge is talked to. Raises ForgeError."""
    for name in client.lacks(body):
        planned = planned.warning(
            f"{name} was left out: that Forge runs without --api, and its page has no field for it."
        )
    return planned


def sentence_of_broken(job: Job, planned: Plan) -> str:
    """Say which checkpoint Forge could not load, and what helps."""
    asked = [planned.checkpoint.name] if planned.checkpoint else []
    asked += [
        str(job.parameters[field])
        for field in ("refiner_checkpoint", "refiner_model", "hr_checkpoint_name")
        if not names.is_no_override(job.parameters.get(field))
        and job.parameters[field] != "Use same checkpoint"
    ]
    which = " or ".join(map(repr, asked)) or "the checkpoint that is selected there"
    return (
        f"{job.target_alias} could not load {which}: the file is broken, of a kind that Forge "
        "does not know, or gone. Replace it or ask for another one, then retry."
    )


def _require_pins(client: Forge, job: Job, overridden: Mapping[str, Any]) -> None:
    """Have Forge restore what the job overrides. Raises ForgeInUse while that cannot be had.

    Else the job's value would stay for everybody, and be taken for the owner's own later. Over
    the page nothing can be pinned; there the person's values are left to that Forge.
    """
    # Twice, for it may have been busy at the first look only.
    for _ in range(2):
        if fleet.pin_options(job.server, client, overridden) or job.server.way != "api":
            return
        if client.is_busy():
            raise ForgeInUse(
                f"{job.target_alias} draws for somebody else, and would not give back the "
                "settings that this job changes. The job waits for a free moment, once."
            )


def _copies_leave_no_trace(client: Forge, job: Job) -> bool:
    """Whether Forge will forget our file names after the job, instead of using them for all."""
    return fleet.pin_options(job.server, client, payload.COPY_OPTIONS)
