"""What a checkpoint's name would come to on one server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models_catalog.errors import ServerUnavailable
from models_catalog.listings import CHECKPOINTS, LISTINGS
from models_catalog.names import (
    CheckpointAmbiguous,
    CheckpointNotFound,
    MatchedBy,
    is_no_override,
    match,
    normalized,
)
from servers.forge import Checkpoint
from servers.models import Server

NO_OVERRIDE = "no_override"
"""The warning for a name that asks for no checkpoint: the server draws with the loaded one."""


@dataclass(frozen=True)
class Verification:
    """The one checkpoint meant, or None and what comes near."""

    original_path: str
    normalized_path: str
    listed: Sequence[Checkpoint]
    matched: Checkpoint | None = None
    matched_by: MatchedBy | None = None
    warning: str | None = None
    suggestions: Sequence[str] = ()
    candidates: Sequence[str] = ()


def verify(wanted: str, server: Server) -> Verification:
    """Match a name against a server's own list. Raises NameRejected, ServerUnavailable."""
    normalized(wanted, ())  # A name that can be none anywhere is refused without asking.
    [listing] = LISTINGS.ask([server], CHECKPOINTS).collect()
    if listing.error is not None:
        raise ServerUnavailable(server.alias, listing.error)
    listed = listing.entries
    if is_no_override(wanted):
        return Verification(wanted, "", listed, warning=NO_OVERRIDE)
    path = normalized(wanted, listed)
    try:
        found = match(wanted, listed)
    except CheckpointNotFound as refusal:
        return Verification(wanted, path, listed, suggestions=refusal.suggestions)
    except CheckpointAmbiguous as refusal:
        return Verification(wanted, path, listed, candidates=refusal.candidates)
    return Verification(wanted, path, listed, found.listed, found.matched_by, found.warning)
