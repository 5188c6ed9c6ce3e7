"""Model files, listings and questions about them on the wire. Its names stand here only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rest_framework import serializers

from imaging import making
from models_catalog.civitai_addresses import (
    MAX_ID,
    MAX_LENGTH,
    CivitaiAddressInvalid,
    image_id,
    model_address,
)
from models_catalog.file_serializers import stored_file_in_full, stored_rows
from models_catalog.known_files import BOTH, KnownFile, KnownFiles
from models_catalog.listings import Listing
from models_catalog.model_files import ModelFile, checkpoint_files, gathered
from models_catalog.verification import Verification
from servers.forge import Checkpoint, Lora

# --- what clients ask --------------------------------------------------------------------


class ListingQuery(serializers.Serializer[Any]):
    """The query of /checkpoints, /loras and /samplers. Without an alias all servers are asked."""

    server_alias = serializers.CharField(max_length=256, required=False, allow_blank=True)


class VerifyQuery(serializers.Serializer[Any]):
    """The query of /debug/verify-checkpoint."""

    checkpoint_path = serializers.CharField(trim_whitespace=False)
    server_alias = serializers.CharField(max_length=256)


class ModelsQuery(serializers.Serializer[Any]):
    """The filters of /models; an empty one counts as none."""

    type = serializers.ChoiceField(choices=BOTH, required=False, allow_blank=True)
    baseModel = serializers.CharField(max_length=100, required=False, allow_blank=True)  # noqa: N815
    duplicates = serializers.BooleanField(default=False)


class ModelQuery(serializers.Serializer[Any]):
    """Which type of file the id of a /models/<id>/… address means."""

    type = serializers.ChoiceField(choices=BOTH, default="checkpoint")


class PreviewQuery(ModelQuery):
    """Which of a file's preview pictures, and how large; without a size as it is."""

    index = serializers.IntegerField(min_value=0, default=0)
    size = serializers.ChoiceField(choices=list(making.SIZES), required=False)


class ImageInfoInput(serializers.Serializer[Any]):
    """An image of Civitai: by its number, or by its address under either name."""

    imageId = serializers.CharField(max_length=MAX_LENGTH, required=False)  # noqa: N815
    civitaiImageId = serializers.CharField(max_length=MAX_LENGTH, required=False)  # noqa: N815
    url = serializers.CharField(max_length=MAX_LENGTH, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = {name: self._image_id(name, text) for name, text in attrs.items()}
        if not named:
            raise serializers.ValidationError({"imageId": "Give imageId or url."})
        if len(set(named.values())) > 1:
            raise serializers.ValidationError({max(named): "It names another image."})
        return {"image_id": next(iter(named.values()))}

    def _image_id(self, name: str, text: str) -> int:
        try:
            return image_id(text)
        except CivitaiAddressInvalid as error:
            raise serializers.ValidationError({name: str(error)}) from error


class TypeField(serializers.ChoiceField):
    """A model file's type, in any letter case."""

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data.lower() if isinstance(data, str) else data)


def _id() -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=MAX_ID, required=False)


class DownloadInput(serializers.Serializer[Any]):
    """A model of Civitai to download: by the number of its version, or by an address.

    `civitaiModelVersionId` and `targetType` are older names that clients still send.
    """

    modelVersionId = _id()  # noqa: N815
    civitaiModelVersionId = _id()  # noqa: N815
    url = serializers.CharField(max_length=MAX_LENGTH, required=False)
    type = TypeField(choices=BOTH, required=False)
    targetType = TypeField(choices=BOTH, required=False)  # noqa: N815

    def validate_url(self, url: str) -> str:
        try:
            model_address(url)
        except CivitaiAddressInvalid as error:
            raise serializers.ValidationError(str(error)) from error
        return url

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        complaints = {}
        if not attrs.keys() & {"url", "modelVersionId", "civitaiModelVersionId"}:
            complaints["modelVersionId"] = "Give modelVersionId or url."
        if not attrs.keys() & {"type", "targetType"}:
            complaints["type"] = f"Give one of: {', '.join(BOTH)}."
        if complaints:
            raise serializers.ValidationError(complaints)
        return attrs


# --- what they are told ------------------------------------------------------------------


def checkpoints_on_the_wire(listings: Sequence[Listing[Checkpoint]]) -> dict[str, Any]:
    """The checkpoints of all asked servers, each file once.

    `name` has forward slashes; `server_names` has the name each server itself uses. `title`
    is that of the first server, and changes when it hashes the file.
    """
    rows = [
        {
            "name": file.path,
            "title": file.first.title,
            "model_name": file.first.model_name,
            "hash": file.hash or None,
            "sha256": file.sha256 or None,
            "filename": file.filename,
            "servers": list(file.on),
            "server_names": {alias: entry.name for alias, entry in file.on.items()},
        }
        for file in checkpoint_files(listings)
    ]
    return _listed("checkpoints", rows, listings)


def loras_on_the_wire(listings: Sequence[Listing[Lora]]) -> dict[str, Any]:
    """The LoRAs of all asked servers, each name once: it is what a prompt calls them by."""
    rows = []
    for name, on in gathered(listings, lambda entry: entry.name):
        first = next(iter(on.values()))
        rows.append({"name": name, "alias": first.alias or name, "servers": list(on)})
    return _listed("loras", rows, listings)


def samplers_on_the_wire(listings: Sequence[Listing[str]]) -> dict[str, Any]:
    """The samplers of all asked servers, each name once."""
    rows = [{"name": name, "servers": list(on)} for name, on in gathered(listings, str)]
    return _listed("samplers", rows, listings)


def models_on_the_wire(known: KnownFiles, base_model: str = "") -> dict[str, Any]:
    """All model files, or those of one base model. Of those on servers alone none is known."""
    rows = stored_rows(known.stored, known.on, base_model)
    if not base_model:
        rows += [_model_row(file) for file in known.files]
    return _listed("models", rows, known.listings)


def model_info_on_the_wire(file: KnownFile) -> dict[str, Any]:
    """One model file in full. What only the file or Civitai could tell is null."""
    if file.stored is not None:
        return {"success": True, "model": stored_file_in_full(file.stored, file.on)}
    details: dict[str, Any] = {
        **dict.fromkeys(("model_version_id", "civitai_name", "downloads", "favorited", "rating")),
        **dict.fromkeys(("metadata_source", "version_name", "notes", "trouble")),
        **{name: [] for name in ("preview_images", "trigger_words", "duplicates")},
    }
    row = _model_row(file.listed) if file.listed else {}
    hashes = {"SHA256": row["sha256"], "AutoV1": None, "AutoV2": row["hash"], "AutoV3": None}
    return {"success": True, "model": {**row, **details, "hashes": hashes}}


def models_cache_on_the_wire(listings: Sequence[Listing[Checkpoint]]) -> dict[str, Any]:
    """The checkpoints as they are matched: with every way their path is written."""
    rows = [
        {
            "id": file.id,
            "name": file.stem,
            "path": file.path,
            "normalized_path": file.first.name,
            "hash": file.hash or None,
            "title": file.first.title,
            "aliases": list(dict.fromkeys([file.path, file.path.replace("/", "\\")])),
            "servers": list(file.on),
        }
        for file in checkpoint_files(listings)
    ]
    return {"cache_size": len(rows), "models": rows, "servers": _statements(listings)}


def verification_on_the_wire(found: Verification) -> dict[str, Any]:
    """What a name comes to. Without a match the suggestions or the candidates say why."""
    return {
        "success": True,
        "original_path": found.original_path,
        "normalized_path": found.normalized_path,
        "matched_model": found.matched.title if found.matched else None,
        "matched_by": found.matched_by,
        "warning": found.warning,
        "suggestions": list(found.suggestions),
        "candidates": list(found.candidates),
        "available_models": [entry.title for entry in found.listed],
    }


def _model_row(file: ModelFile[Any]) -> dict[str, Any]:
    return {
        "id": file.id,
        "filename": file.filename,
        "relativePath": file.folder or "/",
        "created": None,
        "modified": None,
        "size": None,
        "type": file.type,
        "baseModel": None,
        "base_model_source": None,
        "condition": None,
        "preview_url": None,
        "has_preview": False,
        "civitai_url": None,
        "civitai_id": None,
        "description": None,
        "tags": [],
        "hash": file.hash or None,
        "sha256": file.sha256 or None,
        "servers": list(file.on),
    }


def _listed(
    what: str, rows: Sequence[Mapping[str, Any]], listings: Iterable[Listing[Any]]
) -> dict[str, Any]:
    return {"success": True, "count": len(rows), what: rows, "servers": _statements(listings)}


def _statements(listings: Iterable[Listing[Any]]) -> list[dict[str, Any]]:
    """Say of each server how its part of the answer came about.

    A server that was asked for several lists is well only if it gave them all.
    """
    statements: dict[str, dict[str, Any]] = {}
    for listing in listings:
        statement = _statement(listing)
        if statements.setdefault(listing.alias, statement)["ok"]:
            statements[listing.alias] = statement
    return list(statements.values())


def _statement(listing: Listing[Any]) -> dict[str, Any]:
    return {
        "alias": listing.alias,
        "ok": listing.error is None,
        "error": str(listing.error) if listing.error else None,
        "code": listing.error.code if listing.error else None,
        "age_seconds": None if listing.age is None else round(listing.age, 1),
        "left_out": listing.left_out,
    }
