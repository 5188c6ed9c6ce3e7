"""The model files of our folders, as the last scan left them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, F, Func, IntegerField, TextField, Value
from django.db.models.functions import Cast, Left

from events.timestamps import utc_millis
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
    created: str
    modified: str
    condition: str
    base_model: str
    base_model_source: str
    civitai_id: int | None
    brief: str
    tags_json: str
    sha256: str
    preview_count: int

    @property
    def tags(self) -> list[str]:
        tags: list[str] = [] if self.tags_json == "[]" else json.loads(self.tags_json)
        return tags


_COLUMNS = (
    *("id", "type", "path", "filename", "size", "created", "modified", "condition"),
    *(
        "base_model",
        "base_model_source",
        "civitai_id",
        "brief",
        "tags_json",
        "sha256",
        "preview_count",
    ),
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
        # Postgres writes thousands of moments in a fraction of our time.
        created=_utc_millis("created_at"),
        modified=_utc_millis("modified_at"),
        tags_json=Cast("tags", TextField()),
    )
    listed = rows.order_by("type", "path", "id").values_list(*_COLUMNS)
    return [StoredFile(*row) for row in listed]


def _utc_millis(column: str) -> Func:
    """A moment as `events.timestamps` writes it: connections are in UTC."""
    form = Value('YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
    return Func(F(column), form, function="to_char", output_field=TextField())


def as_listed(file: FolderFile) -> StoredFile:
    """The same of a single file."""
    return StoredFile(
        id=file.pk,
        type=file.type,
        path=file.path,
        filename=file.filename,
        size=file.size,
        created=utc_millis(file.created_at),
        modified=utc_millis(file.modified_at),
        condition=file.condition,
        base_model=file.base_model,
        base_model_source=file.base_model_source,
        civitai_id=file.civitai_id,
        brief=file.description[: BRIEF + 1],
        tags_json=json.dumps(file.tags),
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
