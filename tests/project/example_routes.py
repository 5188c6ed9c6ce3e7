"""One view of every class, and some that fail, to try guards and error answers on."""

from __future__ import annotations

from typing import Any

from django.db import DataError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.permissions import Access
from models_catalog.names import CheckpointNotFound

RAISED = {
    "database": OperationalError("connection to 10.0.0.7 failed: password hunter2"),
    "data": DataError("integer out of range"),
    "bug": RuntimeError("the password is hunter2"),
    "domain": CheckpointNotFound("nope.ckpt", ["yep.ckpt"]),
    "throttled": Throttled(wait=6.5),
}


class Parameters(serializers.Serializer[Any]):
    steps = serializers.IntegerField(max_value=150)
    sizes = serializers.ListField(child=serializers.IntegerField(), required=False)


class Words(serializers.Serializer[Any]):
    generation_params = Parameters()
    jobs = Parameters(many=True, required=False)


class ApplicationView(APIView):
    access: Access = "application"

    def get(self, request: Request) -> Response:
        return Response({"seen": True})

    def post(self, request: Request) -> Response:
        return Response({"seen": request.data})


class PageRouteView(ApplicationView):
    access: Access = "page"


class MediaView(ApplicationView):
    access: Access = "media"


class UndeclaredView(APIView):
    def get(self, request: Request) -> Response:
        return Response({"seen": True})


class ValidatingView(APIView):
    access: Access = "page"

    def post(self, request: Request) -> Response:
        Words(data=request.data).is_valid(raise_exception=True)
        return Response({})


class FailingView(APIView):
    access: Access = "page"

    def get(self, request: Request, kind: str) -> Response:
        raise RAISED[kind]


def crash(request: HttpRequest, kind: str) -> HttpResponse:
    raise RAISED[kind]


urlpatterns = [
    path("api/v1/application", ApplicationView.as_view()),
    path("api/v1/page", PageRouteView.as_view()),
    path("api/v1/media", MediaView.as_view()),
    path("api/v1/undeclared", UndeclaredView.as_view()),
    path("api/v1/validating", ValidatingView.as_view()),
    path("api/v1/failing/<kind>", FailingView.as_view()),
    path("api/v1/crash/<kind>", crash),
    path("crash/<kind>", crash),
]

handler400 = "stablequeue_project.api.error_views.bad_request"
handler403 = "stablequeue_project.api.error_views.forbidden"
handler404 = "stablequeue_project.api.error_views.not_found"
handler500 = "stablequeue_project.api.error_views.server_error"
