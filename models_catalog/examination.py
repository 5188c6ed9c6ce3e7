"""Finding out what one model file is, from its header and from what lies beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from models_catalog import base_models, previews, sidecars
from models_catalog.folders import PICKLES, SAFETENSORS, Folder, FoundFile, stem_of
from models_catalog.models import FolderFile
from models_catalog.safe_files import open_inside, read_inside
from models_catalog.safetensors_header import Header, HeaderUnreadable, read_header

Condition = FolderFile.Condition

NO_BYTES = "e3b0c44298fc"
"""The beginning of the SHA-256 of nothing, which some trainers wrote for a hash."""

_LAST = datetime(9999, 1, 1, tzinfo=UTC).timestamp()
_HASH_NAMES = ("sshs_model_hash", "modelspec.hash_sha256")
_ENDINGS = {*(form for form, _, _ in sidecars.FORMS), *previews.ENDINGS}


class Neighbours:
    """What lies in a folder beside its model files, by name in any letter case."""

    def __init__(self, folder: Folder) -> None:
        self._files = folder.others
        self._names: dict[str, list[str]] = {}
        for name in folder.others:
            self._names.setdefault(name.lower(), []).append(name)

    def of(self, filename: str) -> dict[str, FoundFile]:
        """The sidecars and previews of a model file, by what follows its stem."""
        found = {}
        stem = stem_of(filename)
        for ending in _ENDINGS:
            alike = self._names.get(f"{stem}{ending}".lower(), ())
            if alike:
                exact = f"{stem}{ending}"
                found[ending] = self._files[exact if exact in alike else alike[0]]
        return found


def stamp_of(found: FoundFile, beside: Mapping[str, FoundFile]) -> str:
    """A text that changes with the rights of a model file, and with all that lies beside it."""
    told = sorted(f"{file.name}:{file.size}:{file.modified_ns}" for file in beside.values())
    return hashlib.sha256("\n".join([str(found.changed_ns), *told]).encode()).hexdigest()


def examine(
    folder: Folder, found: FoundFile, beside: Mapping[str, FoundFile], roots: Sequence[Path]
) -> FolderFile:
    """Return the unsaved row of a file. Raises FileNotFoundError if it is gone by now."""
    row = FolderFile(
        type=folder.root.type,
        root=str(folder.root.path),
        path=f"{folder.below}{found.name}",
        filename=found.name,
        size=found.size,
        modified_ns=found.modified_ns,
        modified_at=_moment(found.modified_ns),
        # Linux tells no moment of birth; a copy keeps the time of its original.
        created_at=_moment(min(found.modified_ns, found.changed_ns)),
        beside=stamp_of(found, beside),
    )
    header = _look_inside(row, folder, found, roots)
    facts = _told_beside(folder, beside, roots)
    _tell(row, header, facts)
    row.previews = [
        *({"file": beside[end].name} for end in previews.ENDINGS if end in beside),
        *({"embedded": index} for index in range(len(previews.embedded(header)))),
    ]
    row.thumbnails_due = bool(row.previews)
    return row


def _look_inside(
    row: FolderFile, folder: Folder, found: FoundFile, roots: Sequence[Path]
) -> Header:
    """Read the header of a file that has one, and note how that went."""
    lower = found.name.lower()
    if not lower.endswith(SAFETENSORS):
        row.condition = Condition.UNSAFE if lower.endswith(PICKLES) else Condition.UNREAD
        return Header(0)
    try:
        with open_inside(folder.path / found.name, roots) as file:
            header = read_header(file, found.size)
    except FileNotFoundError:
        raise
    except (HeaderUnreadable, OSError) as error:
        row.condition = Condition.UNREADABLE
        row.trouble = (getattr(error, "strerror", None) or str(error))[:200]
        return Header(0)
    row.condition = Condition.READ
    row.autov3 = _autov3(header)
    return header


def _told_beside(
    folder: Folder, beside: Mapping[str, FoundFile], roots: Sequence[Path]
) -> sidecars.Facts:
    contents = {}
    for form, _, _ in sidecars.FORMS:
        if form in beside:
            try:
                path = folder.path / beside[form].name
                contents[form] = read_inside(path, roots, sidecars.MAX_BYTES)
            except OSError:
                # Gone, too large or not for us: it tells nothing.
                continue
    return sidecars.read(contents)


def _tell(row: FolderFile, header: Header, facts: sidecars.Facts) -> None:
    """Put what header and sidecars tell into the row."""
    row.civitai_id, row.version_id = facts.model_id, facts.version_id
    row.civitai_name = facts.civitai_name or _said(header, "modelspec.title")
    row.version_name = facts.version_name
    row.description = facts.description or _said(header, "modelspec.description")
    row.tags = list(facts.tags) or sidecars.words_of(_said(header, "modelspec.tags"))
    row.trigger_words = list(facts.trigger_words) or sidecars.words_of(
        _said(header, "modelspec.trigger_phrase")
    )
    row.downloads, row.favorited, row.rating = facts.downloads, facts.favorited, facts.rating
    row.notes = facts.notes
    row.metadata_source = facts.source or ("header" if header.metadata else "")
    base = base_models.best(
        (facts.base_model, base_models.of_header(header), base_models.of_path(row.path))
    )
    if base is not None:
        row.base_model, row.base_model_source = base.name[:100], base.source


def _said(header: Header, name: str) -> str:
    return sidecars.text_of(header.metadata.get(name))


def _autov3(header: Header) -> str:
    """The hash of the tensors alone, as the file itself tells it; empty if it does not."""
    for name in _HASH_NAMES:
        told = header.metadata.get(name, "").lower().removeprefix("0x")[:12]
        if len(told) == 12 and told != NO_BYTES and all(c in "0123456789abcdef" for c in told):
            return told
    return ""


def _moment(nanoseconds: int) -> datetime:
    """A file's time, as far as a calendar has it."""
    return datetime.fromtimestamp(min(max(nanoseconds / 1e9, 0), _LAST), UTC)
