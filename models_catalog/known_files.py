"""Which model files there are, as far as the servers tell right now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models_catalog.errors import ModelNotFound
from models_catalog.listings import CHECKPOINTS, LISTINGS, LORAS, Listing
from models_catalog.model_files import ModelFile, checkpoint_files, find, lora_files
from models_catalog.model_types import ModelType
from servers.models import Server

BOTH: tuple[ModelType, ...] = ("checkpoint", "lora")


@dataclass(frozen=True)
class KnownFiles:
    """The files, and the answers they were read from."""

    files: Sequence[ModelFile[Any]]
    listings: Sequence[Listing[Any]]


def known_files(*model_types: ModelType) -> KnownFiles:
    """Ask all servers for their files of these types, at once."""
    servers = list(Server.objects.active())
    checkpoints = LISTINGS.ask(servers if "checkpoint" in model_types else [], CHECKPOINTS)
    loras = LISTINGS.ask(servers if "lora" in model_types else [], LORAS)
    checkpoint_lists, lora_lists = checkpoints.collect(), loras.collect()
    return KnownFiles(
        files=[*checkpoint_files(checkpoint_lists), *lora_files(lora_lists)],
        listings=[*checkpoint_lists, *lora_lists],
    )


def known_file(wanted: str, model_type: ModelType) -> ModelFile[Any]:
    """Return the file of that id, path or name. Raises ModelNotFound, ModelAmbiguous."""
    known = known_files(model_type)
    found = find(wanted, known.files)
    if found is None:
        silent = [listing.alias for listing in known.listings if listing.error]
        raise ModelNotFound(wanted, model_type, silent)
    return found
