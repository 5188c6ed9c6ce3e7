"""The REST door to what the servers have: lists, model files, checks of checkpoint names."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import FileResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_202_ACCEPTED
from rest_framework.views import APIView

from models_catalog import scans
from models_catalog.errors import NotAvailableYet, PreviewNotFound
from models_catalog.file_serializers import scan_on_the_wire
from models_catalog.known_files import BOTH, known_file, known_files
from models_catalog.listings import CHECKPOINTS, LISTINGS, LORAS, SAMPLERS
from models_catalog.preview_files import Preview, open_preview
from models_catalog.preview_thumbnails import open_small
from models_catalog.serializers import (
    DownloadInput,
    ImageInfoInput,
    ListingQuery,
    ModelQuery,
    ModelsQuery,
    PreviewQuery,
    VerifyQuery,
    checkpoints_on_the_wire,
    loras_on_the_wire,
    model_info_on_the_wire,
    models_cache_on_the_wire,
    models_on_the_wire,
    samplers_on_the_wire,
    verification_on_the_wire,
)
from models_catalog.stored_files import find_stored
from models_catalog.verification import verify
from servers.fleet import find_server
from servers.models import Server

PREVIEW_FRESH = 300
"""Seconds for which a browser shows a preview again without asking."""


class CheckpointsView(APIView):
    """GET /checkpoints: what the servers can draw with."""

    access: ClassVar[str] = "application"

    def get(self, request: Request) -> Response:
        listings = LISTINGS.ask(_servers_asked_for(request), CHECKPOINTS).collect()
        return Response(checkpoints_on_the_wire(listings))


class LorasView(APIView):
    """GET /loras: what prompts may call up."""

    access: ClassVar[str] = "application"

    def get(self, request: Request) -> Response:
        listings = LISTINGS.ask(_servers_asked_for(request), LORAS).collect()
        return Response(loras_on_the_wire(listings))


class SamplersView(APIView):
    """GET /samplers."""

    access: ClassVar[str] = "application"

    def get(self, request: Request) -> Response:
        listings = LISTINGS.ask(_servers_asked_for(request), SAMPLERS).collect()
        return Response(samplers_on_the_wire(listings))


class VerifyCheckpointView(APIView):
    """GET /debug/verify-checkpoint: what a name comes to on a server."""

    access: ClassVar[str] = "application"

    def get(self, request: Request) -> Response:
        query = _valid(VerifyQuery, request.query_params)
        server = find_server(query["server_alias"])
        return Response(verification_on_the_wire(verify(query["checkpoint_path"], server)))


class ModelsCacheView(APIView):
    """GET /debug/models-cache: the checkpoints known right now."""

    access: ClassVar[str] = "application"

    def get(self, request: Request) -> Response:
        listings = LISTINGS.ask(Server.objects.active(), CHECKPOINTS).collect()
        return Response(models_cache_on_the_wire(listings))


class ModelsView(APIView):
    """GET /models: all checkpoints and LoRAs, in our folders and on servers."""

    access: ClassVar[str] = "application"

    def get(self, request: Request) -> Response:
        query = _valid(ModelsQuery, request.query_params)
        types = [query["type"]] if query.get("type") else BOTH
        known = known_files(*types, duplicates_only=query["duplicates"])
        return Response(models_on_the_wire(known, query.get("baseModel", "")))


class ModelInfoView(APIView):
    """GET /models/<id>/info: one file in full."""

    access: ClassVar[str] = "application"

    def get(self, request: Request, model_id: str) -> Response:
        query = _valid(ModelQuery, request.query_params)
        return Response(model_info_on_the_wire(known_file(model_id, query["type"])))


class ModelPreviewView(APIView):
    """GET /models/<id>/preview: a picture of what a file draws. Servers' lists hold none."""

    access: ClassVar[str] = "media"

    def get(self, request: Request, model_id: str) -> HttpResponseBase:
        query = _valid(PreviewQuery, request.query_params)
        stored = find_stored(model_id, query["type"])
        if stored is None:
            raise PreviewNotFound(known_file(model_id, query["type"]).filename, query["index"])
        found = open_small(stored, query["index"], query.get("size")) or open_preview(
            stored, query["index"]
        )
        if found is None:
            raise PreviewNotFound(stored.filename, query["index"])
        return _picture(request, found)


class ScanView(APIView):
    """GET and POST /models/scan: how far the scan of the folders is; have them scanned."""

    access: ClassVar[str] = "application"

    def get(self, request: Request) -> Response:
        return Response(scan_on_the_wire(scans.latest()))

    def post(self, request: Request) -> Response:
        return Response(scan_on_the_wire(scans.want()), status=HTTP_202_ACCEPTED)


class ScanStopView(APIView):
    """POST /models/scan/stop."""

    access: ClassVar[str] = "application"

    def post(self, request: Request) -> Response:
        return Response(scan_on_the_wire(scans.stop()))


class RefreshMetadataView(APIView):
    """POST /models/<id>/refresh-metadata."""

    access: ClassVar[str] = "application"

    def post(self, request: Request, model_id: str) -> Response:
        query = _valid(ModelQuery, request.query_params)
        file = known_file(model_id, query["type"])
        raise NotAvailableYet(f"fetch what Civitai knows about '{file.filename}'")


class ImageInfoView(APIView):
    """GET and POST /civitai/image-info."""

    access: ClassVar[str] = "application"

    def get(self, request: Request) -> Response:
        return self._answer(request.query_params)

    def post(self, request: Request) -> Response:
        return self._answer(request.data)

    def _answer(self, asked: Any) -> Response:
        query = _valid(ImageInfoInput, asked)
        raise NotAvailableYet(f"ask Civitai about image {query['image_id']}")


class DownloadModelView(APIView):
    """POST /civitai/download-model."""

    access: ClassVar[str] = "application"

    def post(self, request: Request) -> Response:
        _valid(DownloadInput, request.data)
        raise NotAvailableYet("download models from Civitai")


def _servers_asked_for(request: Request) -> list[Server]:
    """Return the server the query names, or all. Raises ServerNotFound."""
    alias = _valid(ListingQuery, request.query_params).get("server_alias")
    return [find_server(alias)] if alias else list(Server.objects.active())


def _picture(request: Request, found: Preview) -> HttpResponseBase:
    """Serve a preview, or say that the one at hand is still the same."""
    response: HttpResponseBase | None = get_conditional_response(request, found.etag)
    if response is not None:
        found.content.close()
    else:
        response = FileResponse(found.content, content_type=found.content_type)
    response["ETag"] = found.etag
    response["Cache-Control"] = f"private, max-age={PREVIEW_FRESH}"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _valid(serializer_class: type[Any], data: Any) -> dict[str, Any]:
    """Return the checked values. Raises DRF's ValidationError, which names the fields."""
    serializer = serializer_class(data=data)
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values
