"""What there is to say about one operation: a method at an address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rest_framework.serializers import BaseSerializer

Shape = type[BaseSerializer[Any]] | BaseSerializer[Any]
"""A serializer that says which fields there are, and of which type."""


@dataclass(frozen=True)
class Operation:
    """One method at one address. What all operations share is added by `DescribedSchema`."""

    id: str
    summary: str
    description: str = ""
    query: type[BaseSerializer[Any]] | None = None
    body: type[BaseSerializer[Any]] | None = None
    status: int = 200
    """Of the answer when all went well."""
    answer: Shape | None = None
    media: tuple[str, ...] = ()
    """The content types of an answer that is a file instead."""
    more_answers: Mapping[int, str] = field(default_factory=dict)
    """Other statuses of the same answer, and when they are used."""
    errors: tuple[str, ...] = ()
    """Codes of errors that not every operation can answer with."""
    example: str = ""
    """Name of a file in `docs/examples`."""
    made: Mapping[str, str] = field(default_factory=dict)
    """The parts of other addresses that the answer tells, as JSON pointers into it."""
    headers: tuple[str, ...] = ()
    """Request headers of its own."""


@dataclass(frozen=True)
class Chapter:
    """Operations that belong together."""

    title: str
    introduction: str
    operations: Mapping[str, Operation]
    """By method and address, like `GET /api/v1/servers`, in the order of the documentation."""
