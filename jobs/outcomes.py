"""How an attempt can end: values that the runner returns and the lifecycle carries out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from jobs.images import StagedImage
from jobs.slots import Lease
from servers.forge import (
    ForgeConnectionLost,
    ForgeError,
    ForgeFailed,
    ForgeInUse,
    ForgeNotReady,
    ForgeUnauthorized,
    ForgeUnreachable,
)


@dataclass(frozen=True)
class Drawn:
    """All pictures are staged on disk, complete and synced."""

    images: tuple[StagedImage, ...]
    generation_info: dict[str, Any]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snoozed:
    """Nothing is wrong with the job: it waits, and the attempt is not charged."""

    code: str
    message: str
    seconds: float = 0


@dataclass(frozen=True)
class Charged:
    """The attempt failed in a way that another one may mend."""

    code: str
    message: str


@dataclass(frozen=True)
class Lost:
    """What Forge answered did not arrive, but it may have drawn: a recovery is to find out.

    Should there be nothing to find, the attempt is charged with this code and message.
    """

    lease: Lease
    code: str
    message: str


@dataclass(frozen=True)
class Refused:
    """No further attempt can help. The message says what would."""

    code: str
    message: str


@dataclass(frozen=True)
class Ill:
    """Forge lost its checkpoint: it has to be healed, in the slot we hold, before the next job.

    `ending` is what it means for this job; `spoilt` the checkpoint that cannot heal it, empty
    for the one that Forge has selected; `error` what it said.
    """

    lease: Lease
    ending: Snoozed | Refused
    spoilt: str
    error: ForgeFailed


@dataclass(frozen=True)
class Gone:
    """The job was cancelled or given to another attempt: nothing is left to write."""

    reason: str = field(default="cancelled")


Outcome = Drawn | Snoozed | Charged | Lost | Refused | Ill | Gone


def of_forge_error(error: ForgeError, *, sent: Lease | None) -> Snoozed | Charged | Lost | Refused:
    """What an error of Forge means for the job. `sent`: the lease, once a generation left."""
    code, message = error.code, str(error)
    if error.permanent:
        return Refused(code, message)
    if isinstance(error, ForgeConnectionLost):
        return Lost(sent, code, message) if sent else Snoozed(code, message)
    if isinstance(error, ForgeUnreachable | ForgeUnauthorized | ForgeNotReady):
        return Snoozed(code, message)
    if isinstance(error, ForgeInUse):
        return Snoozed(code, message, seconds=settings.IN_USE_WAIT)
    return Charged(code, message)
