"""What becomes a job: its draft, its place among others, and the columns these fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apikeys.models import ApiKey
from jobs import payload, workload
from jobs.models import NOBODY, Input, Job
from models_catalog import names
from servers.models import Server


@dataclass(frozen=True)
class Draft:
    """What is to be drawn, before it is a job."""

    kind: str
    parameters: Mapping[str, Any]
    seed: int
    inputs: Sequence[Input] = ()


@dataclass(frozen=True)
class Place:
    """Where jobs stand among others: from 1 to 10, the highest first; background ones last."""

    priority: int = 5
    is_background: bool = False


ORDINARY = Place()


def columns(draft: Draft) -> dict[str, Any]:
    """The columns in which the jobs of one request may differ."""
    return {
        "kind": draft.kind,
        "parameters": draft.parameters,
        "seed": draft.seed,
        "checkpoint": names.key_of(payload.wanted_checkpoint(draft.parameters)),
        "work": workload.work_of(draft.parameters),
    }


def in_common(server: Server, key: ApiKey | None, source_info: str, place: Place) -> dict[str, Any]:
    """The columns in which the jobs of one request are alike."""
    return {
        "server": server,
        "target_alias": server.alias,
        "submitted_by": key,
        "owner": key.id if key else NOBODY,
        "source_info": source_info,
        "priority": place.priority,
        "is_background": place.is_background,
        "urgency": Job.Urgency.NONE,
    }
