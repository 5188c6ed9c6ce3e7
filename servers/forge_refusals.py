"""What a Forge's refusals mean: from an HTTP status and its body to the error to raise."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from servers.foreign_data import one_line, parse_json, tame
from servers.forge_errors import (
    ForgeBadReply,
    ForgeCheckpointBroken,
    ForgeConnectionLost,
    ForgeError,
    ForgeFailed,
    ForgeNotReady,
    ForgePoisoned,
    ForgeRejected,
    ForgeUnauthorized,
    ForgeUnknownSetting,
)

# Forge reports these as a failure of the run, but they are about the request alone.
_REFUSALS_IN_A_RUN = ("could not find upscaler named", "Could not find checkpoint with name")
# What its loader says of whatever goes wrong with a file: backend/loader.py of Forge.
_NOT_LOADED = "Failed to recognize model type!"
_LOST_CHECKPOINT = "'NoneType' object has no attribute 'sd_checkpoint_info'"


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, whole and within its byte cap. `address` is the server's base URL."""

    address: str
    status: int
    body: bytes
    cookies: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Names and values of the cookies it sets; never shown."""
    retry_after: str = ""
    """What it says about when to ask again, as it says it."""


def require_answer(reply: Reply) -> None:
    """Raise what a status other than 200 means for a plain question."""
    if reply.status != 200:
        raise _refusal(reply, settings=())


def require_delivery(reply: Reply) -> None:
    """Raise ForgeConnectionLost when a proxy answers a generation in Forge's place.

    It lost its Forge: perhaps before our request reached it, perhaps in mid-run.
    """
    if reply.status in (502, 504):
        raise ForgeConnectionLost(f"The proxy at {reply.address} lost its Forge.")


def require_generation(reply: Reply, settings: Collection[str]) -> None:
    """Raise what a status other than 200 means for a generation that overrides `settings`."""
    require_delivery(reply)
    if reply.status != 200:
        raise _refusal(reply, settings)


def _refusal(reply: Reply, settings: Collection[str]) -> ForgeError:
    """Tell from a status and its body what went wrong."""
    address, status = reply.address, reply.status
    said = _said(reply)
    detail = _detail(said)
    if status in (401, 403):
        return ForgeUnauthorized(
            f"{address} asks for a user name and password, or refuses the stored ones."
        )
    if 300 <= status < 400:
        return ForgeNotReady(f"{address} sends us elsewhere; enter the address it really has.")
    if status == 404 and detail in ("", "Not Found"):
        return ForgeNotReady(
            f"{address} has no API. Forge is still starting, or was started without --api."
        )
    if status in (502, 503, 504):
        return ForgeNotReady(f"{address} answers that its Forge is not available.")
    if status in (400, 404, 413, 422):
        return ForgeRejected(f"{address} refused the parameters: {detail or f'HTTP {status}'}")
    if status == 500:
        return _failure(address, said, detail, settings)
    return ForgeBadReply(f"{address} answered with HTTP {status}, which no Forge does.")


def _failure(
    address: str, said: Mapping[str, Any], detail: str, settings: Collection[str]
) -> ForgeError:
    """Read Forge's HTTP 500: the error of a run, or a refusal in disguise."""
    error_class = one_line(said.get("error") or "")
    # AUTOMATIC1111 has another name for the text.
    reason = one_line(said.get("message") or said.get("errors") or "")
    if not error_class and detail:
        return ForgeRejected(f"{address} refused the parameters: {detail}")
    return failure_in_a_run(address, error_class, reason, settings)


def failure_in_a_run(
    address: str, error_class: str, reason: str, settings: Collection[str] = ()
) -> ForgeError:
    """Tell from the error a run ended in what went wrong; it overrode `settings`."""
    if error_class == "KeyError" and (setting := reason.strip("'\"")) in settings:
        return ForgeUnknownSetting(address, setting)
    if reason.startswith(_REFUSALS_IN_A_RUN):
        return ForgeRejected(f"{address} refused the parameters: {reason}")
    if error_class == "ValueError" and reason.startswith(_NOT_LOADED):
        return ForgeCheckpointBroken(
            f"{address} could not load a checkpoint.", error_class=error_class, reason=reason
        )
    if error_class == "AttributeError" and reason == _LOST_CHECKPOINT:
        return ForgePoisoned(
            f"{address} lost its checkpoint when another one failed to load. "
            "A job on a different checkpoint, or a restart of that Forge, heals it.",
            error_class=error_class,
            reason=reason,
        )
    words = ": ".join(filter(None, (error_class, reason))) or "no reason given"
    return ForgeFailed(f"{address} failed ({words}).", error_class=error_class, reason=reason)


def _said(reply: Reply) -> Mapping[str, Any]:
    try:
        said = tame(parse_json(reply.body))
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _detail(said: Mapping[str, Any]) -> str:
    """Forge's `detail`: a sentence, or a list of what is wrong with which field."""
    detail = said.get("detail")
    if not isinstance(detail, list):
        return one_line(detail or "")
    parts = []
    for item in detail[:5]:
        if isinstance(item, dict):
            where = item.get("loc")
            field = str(where[-1]) if isinstance(where, list) and where else "body"
            parts.append(f"{field}: {item.get('msg', '')}")
    return one_line("; ".join(parts))
