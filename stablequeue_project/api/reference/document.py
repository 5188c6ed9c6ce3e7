"""The OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.generators import SchemaGenerator

from stablequeue_project.api.reference.chapters import CHAPTERS, OPERATIONS
from stablequeue_project.api.reference.shared import COMPONENTS, answers_referred_to


def openapi_document() -> dict[str, Any]:
    """Describe the whole API in OpenAPI 3.1. Raises UndescribedOperation."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    paths = document["paths"]
    order = dict.fromkeys(at.split()[1] for at in OPERATIONS)
    document["paths"] = {path: paths[path] for path in order}
    document["tags"] = [
        {"name": chapter.title, "description": chapter.introduction} for chapter in CHAPTERS
    ]
    components = document["components"]
    components["responses"] = answers_referred_to(paths)
    for kind, named in COMPONENTS.items():
        components[kind] = {**components.get(kind, {}), **named}
    cleaned: dict[str, Any] = _without_marks(document)
    return cleaned


def _without_marks(part: Any) -> Any:
    """Leave out what drf-spectacular notes for itself."""
    if isinstance(part, dict):
        return {
            name: _without_marks(below) for name, below in part.items() if name != "x-spec-enum-id"
        }
    return [_without_marks(below) for below in part] if isinstance(part, list) else part


def of_the_api(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """Leave out what only our own pages call. A hook of drf-spectacular."""
    return [found for found in endpoints if found[0].startswith(("/api/", "/outputs/"))]
