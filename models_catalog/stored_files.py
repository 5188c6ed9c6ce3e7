"""The model files of our folders, as the last scan left them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Func, IntegerField
from django.db.models.functions import Left

from models_catalog.errors import ModelAmbiguous
from models_catalog.model_types import ModelType
from models_catalog.models import FolderFile

BRIEF = 300
"""Characters of a description that a list shows."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a list shows of a file."""

    id: int
    type: str
    path: str
    filename: str
    size: int
    created_at: Any
    modified_at: Any
    condition: str
    base_model: str
    base_model_source: str
    civitai_id: int | None
    brief: str
    tags: list[str]
    sha256: str
    preview_count: int


_COLUMNS = (
    *("id", "type", "path", "filename", "size", "created_at", "modified_at", "condition"),
    *("base_model", "base_model_source", "civitai_id", "brief", "tags", "sha256", "preview_count"),
)


def stored_files(*types: ModelType, duplicates_only: bool = False) -> list[StoredFile]:
    """The files of these types, in the order of their paths."""
    rows = FolderFile.objects.present().filter(type__in=types)
    if duplicates_only:
        known = FolderFile.objects.present().exclude(sha256="").values("sha256")
        twice = known.annotate(copies=Count("id")).filter(copies__gt=1).values("sha256")
        rows = rows.filter(sha256__in=twice)
    rows = rows.annotate(
        brief=Left("description", BRIEF + 1),
        preview_count=Func(
            F("previews"), function="jsonb_array_length", output_field=IntegerField()
        ),
    )
    listed = rows.order_by("type", "path", "id").values_list(*_COLUMNS)
    return [StoredFile(*row) for row in listed]


def as_listed(file: FolderFile) -> StoredFile:
    """The same of a single file."""
    return StoredFile(
        id=file.pk,
        type=file.type,
        path=file.path,
        filename=file.filename,
        size=file.size,
        created_at=file.created_at,
        modified_at=file.modified_at,
        condition=file.condition,
        base_model=file.base_model,
        base_model_source=file.base_model_source,
        civitai_id=file.civitai_id,
        brief=file.description[: BRIEF + 1],
        tags=file.tags,
        sha256=file.sha256,
        preview_count=len(file.previews),
    )


def find_stored(wanted: str, model_type: ModelType) -> FolderFile | None:
    """Return the file of that id, path or name. Raises ModelAmbiguous.

    What is wanted is compared with what is known, and never becomes part of a path.
    """
    if "\0" in wanted:
        return None
    present = FolderFile.objects.present()
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= 18:
        return present.filter(pk=int(wanted)).first()
    path = wanted.replace("\\", "/").lstrip("/")
    for column in ("path", "filename"):
        # A name may hold backslashes itself, on Linux.
        fitting = present.filter(type=model_type, **{f"{column}__in": {wanted, path}})
        found = list(fitting.order_by("path", "id")[:20])
        if len(found) > 1:
            raise ModelAmbiguous(wanted, [f"{file.path} (id {file.pk})" for file in found])
        if found:
            return found[0]
    return None


def duplicates_of(file: FolderFile) -> list[FolderFile]:
    """The other files with the same bytes."""
    if not file.sha256:
        return []
    same = FolderFile.objects.present().filter(sha256=file.sha256).exclude(pk=file.pk)
    return list(same.only("type", "path").order_by("path")[:100])


def names_used_once(files: Iterable[StoredFile]) -> set[tuple[str, str]]:
    """The types and names of files that no other file of the type shares."""
    counts: dict[tuple[str, str], int] = {}
    for file in files:
        key = (file.type, file.filename)
        counts[key] = counts.get(key, 0) + 1
    return {key for key, count in counts.items() if count == 1}


def is_only_one_of_its_name(file: FolderFile) -> bool:
    """Whether its name alone tells which file is meant."""
    alike = FolderFile.objects.present().filter(type=file.type, filename=file.filename)
    return not alike.exclude(pk=file.pk).exists()
