"""From a checked request to jobs: pictures kept, the server found, seeds drawn, one verb called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from rest_framework.exceptions import ValidationError

from apikeys.models import ApiKey
from jobs import expansion, inputs, lifecycle, payload
from jobs.drafts import Draft, Place
from jobs.expansion import Plan, Variant
from jobs.models import Batch, Input, Job
from jobs.parameters import check_together, draw_seed
from servers import fleet
from servers.models import Server

MAX_BATCH_BYTES = 64 * 1024 * 1024
"""Of all parameters of a batch, as JSON: a small request must not fill the disk."""


@dataclass(frozen=True)
class SubmittedBatch:
    """A batch just stored; of each job its id and its seed, in order."""

    batch: Batch
    server: Server
    jobs: Sequence[tuple[UUID, int]]


def submit_one(asked: Mapping[str, Any], *, key: ApiKey | None) -> Job:
    """Submit the job of a checked `POST /generate`. Raises ServerNotFound, InputInvalid."""
    server = fleet.find_target(asked["target_server_alias"])
    with inputs.kept({"generation_params": asked["generation_params"]}) as (body, kept):
        parameters = body["generation_params"]
        return lifecycle.submit(
            server=server,
            kind=payload.kind_of(parameters),
            parameters=parameters,
            seed=draw_seed(parameters),
            inputs=kept,
            key=key,
            source_info=asked["source_info"],
            place=_place(asked),
            hook=asked.get("hook"),
        )


def submit_batch(asked: Mapping[str, Any], *, key: ApiKey | None) -> SubmittedBatch:
    """Submit the jobs of a checked `POST /generate/bulk`.

    Raises ServerNotFound, InputInvalid, and ValidationError for what shows only when all
    jobs are written out.
    """
    server = fleet.find_server(asked["target_server_alias"])
    plan: Plan = asked["plan"]
    request = {
        "generation_params": asked["generation_params"],
        "axes": [{"parameters": axes.values} for axes in plan.axes],
    }
    with inputs.kept(request) as (body, kept):
        variants = _variants(body, plan)
        batch, ids = lifecycle.submit_many(
            server=server,
            drafts=_drafts(variants, kept),
            name=asked["name"],
            key=key,
            source_info=asked["source_info"],
            place=_place(asked),
            hook=asked.get("hook"),
        )
    seeds = [variant.seed for variant in variants]
    return SubmittedBatch(batch, server, list(zip(ids, seeds, strict=True)))


def _variants(body: Mapping[str, Any], plan: Plan) -> Sequence[Variant]:
    """What to draw, with references in the pictures' places. Raises ValidationError."""
    axes = [
        replace(axes, values=found["parameters"])
        for axes, found in zip(plan.axes, body["axes"], strict=True)
    ]
    variants = expansion.expand(body["generation_params"], replace(plan, axes=axes))
    _check(variants)
    return variants


def retry_failed(*, server: str, error_code: str, batch: UUID | None) -> tuple[int, int]:
    """Let failed jobs run again; what is empty counts for all. See `lifecycle.retry_failed`.

    Raises ServerNotFound, BatchNotFound.
    """
    where = fleet.find_server(server) if server else None
    return lifecycle.retry_failed(server=where, code=error_code, batch_id=batch)


def _place(asked: Mapping[str, Any]) -> Place:
    return Place(asked["priority"], is_background=asked["job_class"] == "background")


def _check(variants: Sequence[Variant]) -> None:
    room = MAX_BATCH_BYTES
    for index, variant in enumerate(variants):
        try:
            check_together(variant.parameters)
        except ValidationError as error:
            raise ValidationError({"generation_params": error.detail}) from error
        room -= len(json.dumps(variant.parameters))
        if room < 0:
            sentence = f"Too large for {len(variants)} jobs; {index} would fit."
            raise ValidationError({"generation_params": [sentence]})


def _drafts(variants: Sequence[Variant], kept: Sequence[Input]) -> list[Draft]:
    by_sha256 = {stored.sha256: stored for stored in kept}
    return [
        Draft(
            kind=payload.kind_of(variant.parameters),
            parameters=variant.parameters,
            seed=variant.seed,
            inputs=[
                by_sha256[sha256]
                for sha256 in payload.pictures_in(variant.parameters)
                if sha256 in by_sha256
            ]
            if kept
            else (),
        )
        for variant in variants
    ]
