"""The model files of our folders, and the scans of these, on the wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from events.timestamps import utc_millis
from models_catalog import folders
from models_catalog.base_models import UNKNOWN, is_one_of
from models_catalog.known_files import Aliases
from models_catalog.models import FolderFile, Scan
from models_catalog.stored_files import (
    BRIEF,
    StoredFile,
    as_listed,
    duplicates_of,
    is_only_one_of_its_name,
    names_used_once,
)


def stored_rows(
    stored: Sequence[StoredFile], on: Mapping[int, Aliases], base_model: str = ""
) -> list[dict[str, Any]]:
    """The rows of a list: all, or those of one base model or its family."""
    unique = names_used_once(stored)
    if base_model:
        names = {file.base_model for file in stored}
        wanted = {name for name in names if is_one_of(name or UNKNOWN, base_model)}
        stored = [file for file in stored if file.base_model in wanted]
    return [
        _row(file, on.get(file.id, ()), has_own_name=(file.type, file.filename) in unique)
        for file in stored
    ]


def _row(file: StoredFile, on: Aliases, *, has_own_name: bool) -> dict[str, Any]:
    url = preview_url(file.filename if has_own_name else str(file.id), file.type)
    brief = file.brief if len(file.brief) <= BRIEF else f"{file.brief[:BRIEF]}..."
    return {
        "id": file.id,
        "filename": file.filename,
        "relativePath": file.path.rpartition("/")[0] or "/",
        "created": file.created,
        "modified": file.modified,
        "size": file.size,
        "type": file.type,
        "baseModel": file.base_model or UNKNOWN,
        "base_model_source": file.base_model_source or None,
        "condition": file.condition,
        "preview_url": url if file.preview_count else None,
        "has_preview": file.preview_count > 0,
        "civitai_url": civitai_url(file.civitai_id),
        "civitai_id": file.civitai_id,
        "description": brief or None,
        "tags": file.tags,
        "hash": file.sha256[:10] or None,
        "sha256": file.sha256 or None,
        "servers": list(on),
    }


def stored_file_in_full(file: FolderFile, on: Aliases) -> dict[str, Any]:
    """All that is known of one file."""
    row = _row(as_listed(file), on, has_own_name=is_only_one_of_its_name(file))
    urls = [f"{row['preview_url']}&index={index}" for index in range(len(file.previews))]
    return {
        **row,
        "description": file.description or None,
        "trouble": file.trouble or file.hash_trouble or None,
        "model_version_id": file.version_id,
        "civitai_name": file.civitai_name or None,
        "version_name": file.version_name or None,
        "preview_images": urls,
        "downloads": file.downloads,
        "favorited": file.favorited,
        "rating": file.rating,
        "trigger_words": file.trigger_words,
        "notes": file.notes or None,
        "metadata_source": file.metadata_source or None,
        "hashes": {
            "SHA256": file.sha256 or None,
            "AutoV1": file.autov1 or None,
            "AutoV2": file.sha256[:10] or None,
            "AutoV3": file.autov3 or None,
        },
        "duplicates": [
            {"id": twin.pk, "type": twin.type, "path": twin.path} for twin in duplicates_of(file)
        ],
    }


def preview_url(id_in_url: str, model_type: str) -> str:
    """Where a file's preview is served."""
    return f"/api/v1/models/{quote(id_in_url, safe='')}/preview?type={model_type}"


def civitai_url(model_id: int | None) -> str | None:
    """A model's page at Civitai."""
    return f"https://civitai.com/models/{model_id}" if model_id else None


def scan_on_the_wire(scan: Scan | None) -> dict[str, Any]:
    """How far a scan is, and how many files wait to be hashed."""
    present = FolderFile.objects.present()
    return {
        "success": True,
        "scan": _scan(scan) if scan else None,
        "files": present.count(),
        "waiting_to_be_hashed": FolderFile.objects.without_hashes().count(),
        "folders": [{"type": root.type, "path": str(root.path)} for root in folders.roots()],
    }


def _scan(scan: Scan) -> dict[str, Any]:
    moments = {
        name: utc_millis(moment) if (moment := getattr(scan, name)) else None
        for name in ("wanted_at", "started_at", "ended_at")
    }
    return {
        "id": scan.pk,
        "state": scan.state,
        **moments,
        "folder": scan.folder or None,
        "expected": scan.expected,
        "seen": scan.seen,
        "added": scan.added,
        "changed": scan.changed,
        "missing": scan.missing,
        "left_out": scan.left_out,
        "troubles": scan.troubles,
    }
