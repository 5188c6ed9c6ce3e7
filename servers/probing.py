"""Finding out how a Forge was started: which way it can be talked to, and what it lacks.

A port that answers is no Forge yet. For up to some seconds after its start only the page is
there; then come /internal, /sdapi (with --api) and last the routes of extensions. So a Forge
is taken to run without --api only once an extension's route is there and the API still not.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

from servers.forge import ForgeClient
from servers.forge_errors import ForgeError, ForgeNotReady, ForgeUnauthorized
from servers.forge_session import ForgeSession

Protocol = Literal["auto", "api", "session"]
"""How a person wants a server to be talked to."""


@dataclass(frozen=True)
class Capabilities:
    """What a look at a server found it to offer."""

    way: Literal["api", "session"]
    is_forge: bool
    """Not its ancestor AUTOMATIC1111."""
    has_progress: bool
    """Without it (--nowebui) a generation can be neither followed nor interrupted."""
    has_files: bool
    """Whether pictures of a lost answer can be fetched from it."""
    checkpoints: int
    answer_ms: int
    """How long it took to answer a question."""
    hint: str = ""
    """What is missing, in a sentence; empty if nothing is."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def look(api: ForgeClient, page: ForgeSession, protocol: Protocol) -> Capabilities:
    """See what a server offers. Raises the ForgeError that says why it cannot be used."""
    if protocol == "session":
        return _of_page(page)
    try:
        return _of_api(api, page)
    except ForgeNotReady:
        if protocol == "api" or not _has_started(page):
            raise
    try:
        # Extensions come after the API, so now it is there if it ever will.
        return _of_api(api, page)
    except ForgeNotReady:
        return _of_page(page)


def _of_api(api: ForgeClient, page: ForgeSession) -> Capabilities:
    began = time.monotonic()
    found = api.probe()
    took = time.monotonic() - began
    hint = ""
    if not found.has_progress:
        hint = f"{api.address} runs with --nowebui: its jobs can be neither followed nor stopped."
    elif refusal := _refusal(page):
        hint = f"{refusal} Until then pictures of a lost answer cannot be fetched from it."
    return Capabilities(
        way="api",
        is_forge=found.is_forge,
        has_progress=found.has_progress,
        has_files=not hint,
        checkpoints=len(api.checkpoints()),
        answer_ms=round(took * 1000),
        hint=hint,
    )


def _of_page(page: ForgeSession) -> Capabilities:
    began = time.monotonic()
    page.is_idle_of("probe")
    took = time.monotonic() - began
    page.probe()
    return Capabilities(
        way="session",
        is_forge=True,
        has_progress=True,
        has_files=True,
        checkpoints=len(page.checkpoints()),
        answer_ms=round(took * 1000),
    )


def _refusal(page: ForgeSession) -> str:
    """Why the page hands nothing out to us; empty if it does, or if nobody knows."""
    try:
        page.require_login()
    except ForgeUnauthorized as error:
        return str(error)
    except ForgeError:
        return ""
    return ""


def _has_started(page: ForgeSession) -> bool:
    """Whether the last routes of a start are there."""
    try:
        page.loras()
    except ForgeNotReady:
        return False
    return True
