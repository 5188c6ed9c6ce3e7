"""The operations on what the servers have: checkpoints, LoRAs, samplers, model files."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from events.timestamps import UtcMillis
from models_catalog.known_files import BOTH
from models_catalog.models import FolderFile, Scan
from models_catalog.serializers import (
    DownloadInput,
    ImageInfoInput,
    ListingQuery,
    ModelQuery,
    ModelsQuery,
    PreviewQuery,
    VerifyQuery,
)
from stablequeue_project.api.reference.operation import Chapter, Operation


def _or_null() -> serializers.CharField:
    return serializers.CharField(allow_null=True)


class Statement(serializers.Serializer[Any]):
    """How one server's part of the answer came about."""

    alias = serializers.CharField()
    ok = serializers.BooleanField()
    error = serializers.CharField(allow_null=True, help_text="Why it has no part in the answer.")
    code = _or_null()
    age_seconds = serializers.FloatField(
        allow_null=True, help_text="How long ago it told what it has."
    )
    left_out = serializers.IntegerField(help_text="Entries too many, or too long.")


class Listed(serializers.Serializer[Any]):
    """A list put together from those of several servers."""

    success = serializers.BooleanField()
    count = serializers.IntegerField()
    servers = Statement(many=True)


class ShownCheckpoint(serializers.Serializer[Any]):
    """A checkpoint, once for all servers that have it."""

    name = serializers.CharField(help_text="Its path, with forward slashes.")
    title = serializers.CharField(help_text="As the first server shows it, with its hash.")
    model_name = serializers.CharField()
    hash = _or_null()
    sha256 = _or_null()
    filename = serializers.CharField()
    servers = serializers.ListField(child=serializers.CharField(), help_text="Those that have it.")
    server_names = serializers.DictField(
        child=serializers.CharField(), help_text="What each of them calls it."
    )


class ShownCheckpoints(Listed):
    """All checkpoints."""

    checkpoints = ShownCheckpoint(many=True)


class ShownLora(serializers.Serializer[Any]):
    """A LoRA, by the name with which prompts call it."""

    name = serializers.CharField()
    alias = serializers.CharField()
    servers = serializers.ListField(child=serializers.CharField())


class ShownLoras(Listed):
    """All LoRAs."""

    loras = ShownLora(many=True)


class ShownSampler(serializers.Serializer[Any]):
    """A sampler."""

    name = serializers.CharField()
    servers = serializers.ListField(child=serializers.CharField())


class ShownSamplers(Listed):
    """All samplers."""

    samplers = ShownSampler(many=True)


class ModelRow(serializers.Serializer[Any]):
    """A model file. What is not known of it is null."""

    id = serializers.IntegerField()
    filename = serializers.CharField()
    relativePath = serializers.CharField()  # noqa: N815
    created = UtcMillis(allow_null=True)
    modified = UtcMillis(allow_null=True)
    size = serializers.IntegerField(allow_null=True, help_text="In bytes.")
    type = serializers.ChoiceField(BOTH)
    baseModel = _or_null()  # noqa: N815
    base_model_source = serializers.CharField(
        allow_null=True,
        help_text="What told it: civitai, sidecar, header, tensors, sd_version or name.",
    )
    condition = serializers.ChoiceField(
        FolderFile.Condition.choices,
        allow_null=True,
        help_text="How the file itself was found: `read`; `unread` (a format we do not read); "
        "`unsafe` (a pickle, never opened but to be hashed); or `unreadable`.",
    )
    preview_url = _or_null()
    has_preview = serializers.BooleanField()
    civitai_url = _or_null()
    civitai_id = serializers.IntegerField(allow_null=True)
    description = _or_null()
    tags = serializers.ListField(child=serializers.CharField())
    hash = _or_null()
    sha256 = _or_null()
    servers = serializers.ListField(child=serializers.CharField())


class ModelRows(Listed):
    """All model files."""

    models = ModelRow(many=True)


class Hashes(serializers.Serializer[Any]):
    """What the file's bytes come to, as Civitai names it; null until they were read."""

    SHA256 = _or_null()
    AutoV1 = _or_null()
    AutoV2 = _or_null()
    AutoV3 = _or_null()


class Duplicate(serializers.Serializer[Any]):
    """Another file with the same bytes."""

    id = serializers.IntegerField()
    type = serializers.ChoiceField(BOTH)
    path = serializers.CharField()


class FullModel(ModelRow):
    """A model file with all that is known of it."""

    hashes = Hashes()
    duplicates = Duplicate(many=True)
    trouble = serializers.CharField(allow_null=True, help_text="Why it could not be read.")
    version_name = _or_null()
    notes = serializers.CharField(allow_null=True, help_text="The owner's own.")
    model_version_id = serializers.IntegerField(allow_null=True)
    civitai_name = _or_null()
    downloads = serializers.IntegerField(allow_null=True)
    favorited = serializers.IntegerField(allow_null=True)
    rating = serializers.FloatField(allow_null=True)
    preview_images = serializers.ListField(child=serializers.CharField())
    trigger_words = serializers.ListField(child=serializers.CharField())
    metadata_source = _or_null()


class ModelInfo(serializers.Serializer[Any]):
    """One model file."""

    success = serializers.BooleanField()
    model = FullModel()


class ShownScan(serializers.Serializer[Any]):
    """One look through the folders."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(Scan.State.choices)
    wanted_at = UtcMillis(allow_null=True)
    started_at = UtcMillis(allow_null=True)
    ended_at = UtcMillis(allow_null=True)
    folder = serializers.CharField(allow_null=True, help_text="Where it is just now.")
    expected = serializers.IntegerField(help_text="Files that were known when it began.")
    seen = serializers.IntegerField()
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    missing = serializers.IntegerField(help_text="Files that are gone since the last one.")
    left_out = serializers.IntegerField()
    troubles = serializers.ListField(
        child=serializers.CharField(), help_text="Why some were left out."
    )


class ScannedFolder(serializers.Serializer[Any]):
    """A folder of the settings."""

    type = serializers.ChoiceField(BOTH)
    path = serializers.CharField()


class ScanReport(serializers.Serializer[Any]):
    """The newest scan, and what there is."""

    success = serializers.BooleanField()
    scan = ShownScan(allow_null=True, help_text="Null before the first one.")
    files = serializers.IntegerField()
    waiting_to_be_hashed = serializers.IntegerField()
    folders = ScannedFolder(many=True)


class Refreshed(serializers.Serializer[Any]):
    """What Civitai told about a model file."""

    success = serializers.BooleanField()
    message = serializers.CharField()
    model = serializers.DictField()


class Verified(serializers.Serializer[Any]):
    """What a checkpoint's name comes to on a server."""

    success = serializers.BooleanField()
    original_path = serializers.CharField()
    normalized_path = serializers.CharField(help_text="As the server writes it.")
    matched_model = serializers.CharField(allow_null=True, help_text="Null if nothing fits.")
    matched_by = _or_null()
    warning = _or_null()
    suggestions = serializers.ListField(child=serializers.CharField())
    candidates = serializers.ListField(child=serializers.CharField())
    available_models = serializers.ListField(child=serializers.CharField())


class CachedModel(serializers.Serializer[Any]):
    """A checkpoint as names are matched with it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    path = serializers.CharField()
    normalized_path = serializers.CharField()
    hash = _or_null()
    title = serializers.CharField()
    aliases = serializers.ListField(child=serializers.CharField())
    servers = serializers.ListField(child=serializers.CharField())


class ModelsCache(serializers.Serializer[Any]):
    """All checkpoints known right now."""

    cache_size = serializers.IntegerField()
    models = CachedModel(many=True)
    servers = Statement(many=True)


class FromCivitai(serializers.Serializer[Any]):
    """What Civitai told."""

    success = serializers.BooleanField()


_LIST = (
    "Asked of all servers at once, or of the one that is named, and remembered for seconds. A "
    "server that does not answer is told apart in `servers` and delays nobody for long."
)
_LIST_ERRORS = ("SERVER_NOT_FOUND", "VALIDATION_FAILED")
_FILE = (
    "The id is that of the list, the file's path below its folder, or its name if no other file "
    "has it; a slash in it is written as `%2F`."
)
_FILE_ERRORS = ("MODEL_NOT_FOUND", "MODEL_AMBIGUOUS", "VALIDATION_FAILED")

CATALOGUE = Chapter(
    "Models",
    "What lies in the model folders, and what the servers can draw with.",
    {
        "GET /api/v1/checkpoints": Operation(
            id="list_checkpoints",
            summary="List checkpoints",
            description=_LIST,
            query=ListingQuery,
            answer=ShownCheckpoints,
            errors=_LIST_ERRORS,
        ),
        "GET /api/v1/loras": Operation(
            id="list_loras",
            summary="List LoRAs",
            description=_LIST,
            query=ListingQuery,
            answer=ShownLoras,
            errors=_LIST_ERRORS,
        ),
        "GET /api/v1/samplers": Operation(
            id="list_samplers",
            summary="List samplers",
            description=_LIST,
            query=ListingQuery,
            answer=ShownSamplers,
            errors=_LIST_ERRORS,
        ),
        "GET /api/v1/models": Operation(
            id="list_models",
            summary="List model files",
            description="Those in our folders, with all servers that list them, then those that "
            "only servers have. `baseModel` is a base model like `SDXL 1.0`, or a family like "
            "`SDXL`, in any letter case; `duplicates` lists only files whose bytes are there "
            "twice.",
            query=ModelsQuery,
            answer=ModelRows,
            errors=("VALIDATION_FAILED",),
            example="model-list",
        ),
        "GET /api/v1/models/scan": Operation(
            id="read_scan",
            summary="See how far the scan of the model folders is",
            answer=ScanReport,
        ),
        "POST /api/v1/models/scan": Operation(
            id="want_scan",
            summary="Have the model folders looked through",
            description="It begins within seconds. If one is under way already, that is the one. "
            "Files that did not change since the last one are not read again. Hashes are made "
            "afterwards, at low priority.",
            answer=ScanReport,
            status=202,
        ),
        "POST /api/v1/models/scan/stop": Operation(
            id="stop_scan",
            summary="Stop the scan",
            description="What it has found so far stays.",
            answer=ScanReport,
        ),
        "GET /api/v1/models/{model_id}/info": Operation(
            id="read_model",
            summary="Read all about a model file",
            description=_FILE,
            query=ModelQuery,
            answer=ModelInfo,
            errors=_FILE_ERRORS,
            example="model-info",
        ),
        "GET /api/v1/models/{model_id}/preview": Operation(
            id="read_preview",
            summary="Get a preview picture of a model file",
            description=_FILE + " With `size` it is a small version, or the picture itself as "
            "long as that is not made.",
            query=PreviewQuery,
            media=("image/png", "image/jpeg", "image/webp", "image/gif"),
            errors=("MODEL_PREVIEW_NOT_FOUND", *_FILE_ERRORS),
        ),
        "POST /api/v1/models/{model_id}/refresh-metadata": Operation(
            id="refresh_model",
            summary="Ask Civitai about a model file",
            description=_FILE,
            query=ModelQuery,
            answer=Refreshed,
            errors=("NOT_AVAILABLE_YET", *_FILE_ERRORS),
            example="model-refresh",
        ),
        "GET /api/v1/civitai/image-info": Operation(
            id="read_civitai_image",
            summary="Ask Civitai about an image",
            query=ImageInfoInput,
            answer=FromCivitai,
            errors=("NOT_AVAILABLE_YET", "VALIDATION_FAILED"),
        ),
        "POST /api/v1/civitai/image-info": Operation(
            id="ask_for_civitai_image",
            summary="Ask Civitai about an image, in a body",
            body=ImageInfoInput,
            answer=FromCivitai,
            errors=("NOT_AVAILABLE_YET",),
        ),
        "POST /api/v1/civitai/download-model": Operation(
            id="download_model",
            summary="Download a model from Civitai",
            description="`civitaiModelVersionId` and `targetType` are older names of "
            "`modelVersionId` and `type`.",
            body=DownloadInput,
            answer=FromCivitai,
            errors=("NOT_AVAILABLE_YET",),
        ),
        "GET /api/v1/debug/verify-checkpoint": Operation(
            id="verify_checkpoint",
            summary="See what a checkpoint's name comes to on a server",
            query=VerifyQuery,
            answer=Verified,
            errors=(
                *("SERVER_NOT_FOUND", "SERVER_UNAVAILABLE", "CHECKPOINT_NAME_INVALID"),
                "VALIDATION_FAILED",
            ),
            example="verify-checkpoint",
        ),
        "GET /api/v1/debug/models-cache": Operation(
            id="read_models_cache",
            summary="See the checkpoints as names are matched with them",
            answer=ModelsCache,
            example="models-cache",
        ),
    },
)
