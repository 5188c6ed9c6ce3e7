"""Which model files there are: those in our folders, and those that only servers list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from models_catalog.errors import ModelNotFound
from models_catalog.listings import CHECKPOINTS, LISTINGS, LORAS, Listing
from models_catalog.model_files import ModelFile, checkpoint_files, find, lora_files
from models_catalog.model_types import ModelType
from models_catalog.models import FolderFile
from models_catalog.stored_files import StoredFile, find_stored, stored_files
from servers.models import Server

BOTH: tuple[ModelType, ...] = ("checkpoint", "lora")

Aliases = tuple[str, ...]
"""Of servers, in their order."""


class _Stored(Protocol):
    """What tells a file of our folders from others."""

    @property
    def id(self) -> int: ...
    @property
    def type(self) -> Any: ...
    @property
    def path(self) -> str: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True)
class KnownFiles:
    """The files, and the answers of servers that went into it."""

    stored: Sequence[StoredFile]
    on: Mapping[int, Aliases]
    """The servers that list a stored file, by its id."""
    files: Sequence[ModelFile[Any]]
    """Those that lie in none of our folders."""
    listings: Sequence[Listing[Any]]


@dataclass(frozen=True)
class KnownFile:
    """One file: `stored` in our folders, or `listed` by servers alone."""

    filename: str
    stored: FolderFile | None = None
    listed: ModelFile[Any] | None = None
    on: Aliases = field(default=())


def known_files(*model_types: ModelType, duplicates_only: bool = False) -> KnownFiles:
    """Ask all servers for their files of these types, at once, and put ours to them."""
    asked, listings = _ask(*model_types)
    stored = stored_files(*model_types)
    on, others = _put_together(stored, asked)
    if duplicates_only:
        stored, others = stored_files(*model_types, duplicates_only=True), []
    return KnownFiles(stored, on, others, listings)


def known_file(wanted: str, model_type: ModelType) -> KnownFile:
    """Return the file of that id, path or name. Raises ModelNotFound, ModelAmbiguous.

    Those in our folders go first: what servers list is asked for only where they have none.
    """
    stored = find_stored(wanted, model_type)
    if stored is not None:
        asked, _ = _ask(FolderFile.Type(stored.type).value)
        on, _ = _put_together([stored], asked)
        return KnownFile(stored.filename, stored=stored, on=on.get(stored.pk, ()))
    asked, listings = _ask(model_type)
    found = find(wanted, asked)
    if found is None:
        silent = [listing.alias for listing in listings if listing.error]
        raise ModelNotFound(wanted, model_type, silent)
    return KnownFile(found.filename, listed=found, on=tuple(found.on))


def _ask(*types: str) -> tuple[list[ModelFile[Any]], list[Listing[Any]]]:
    servers = list(Server.objects.active())
    checkpoints = LISTINGS.ask(servers if "checkpoint" in types else [], CHECKPOINTS)
    loras = LISTINGS.ask(servers if "lora" in types else [], LORAS)
    checkpoint_lists, lora_lists = checkpoints.collect(), loras.collect()
    files: list[ModelFile[Any]] = [*checkpoint_files(checkpoint_lists), *lora_files(lora_lists)]
    return files, [*checkpoint_lists, *lora_lists]


def _put_together(
    stored: Iterable[_Stored], listed: Sequence[ModelFile[Any]]
) -> tuple[dict[int, Aliases], list[ModelFile[Any]]]:
    """Say which servers list each of our files, and return what is none of them."""
    on: dict[int, list[str]] = {}
    others: list[ModelFile[Any]] = []
    ours = _Ours(stored) if listed else None
    for file in listed:
        same = ours.same_as(file) if ours else []
        for one in same:
            on.setdefault(one.id, []).extend(file.on)
        if not same:
            others.append(file)
    return {pk: tuple(dict.fromkeys(aliases)) for pk, aliases in on.items()}, others


class _Ours:
    """Our files, by what a server's list may tell of them."""

    def __init__(self, stored: Iterable[_Stored]) -> None:
        self._by_path: dict[tuple[str, str], list[_Stored]] = {}
        self._by_name: dict[tuple[str, str], list[_Stored]] = {}
        self._by_hash: dict[tuple[str, str], list[_Stored]] = {}
        for file in stored:
            path = file.path.casefold()
            self._by_path.setdefault((file.type, path), []).append(file)
            self._by_name.setdefault((file.type, path.rpartition("/")[2]), []).append(file)
            if file.sha256:
                self._by_hash.setdefault((file.type, file.sha256[:10]), []).append(file)

    def same_as(self, listed: ModelFile[Any]) -> list[_Stored]:
        """Return which of ours a listed file is; the case of letters is that of Windows."""
        path, digits = listed.path.casefold(), listed.hash.lower()
        same = self._by_path.get((listed.type, path), [])
        if not same and listed.type == "lora" and "/" not in path:
            # A Forge whose LoRAs lie elsewhere tells no folder that we could know.
            named = self._by_name.get((listed.type, path), [])
            same = named if len(named) == 1 else []
        # A name with another hash is another file; so is none with the same.
        same = [file for file in same if not (digits and file.sha256) or _has(file, digits)]
        return same or (self._by_hash.get((listed.type, digits), []) if digits else [])


def _has(file: _Stored, digits: str) -> bool:
    return file.sha256.startswith(digits[:10])
