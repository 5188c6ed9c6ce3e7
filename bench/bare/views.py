"""Validate, store a job and an event, notify, commit."""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.bare.models import BareEvent, BareJob


class BareSerializer(serializers.Serializer[Any]):
    """The body of a submit, looked at from afar."""

    target_server_alias = serializers.CharField(max_length=64)
    generation_params = serializers.DictField()


class BareGenerateView(APIView):
    """POST: accept a job."""

    def post(self, request: Request) -> Response:
        body = BareSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            job = BareJob._default_manager.create(
                server=body.validated_data["target_server_alias"],
                parameters=body.validated_data["generation_params"],
            )
            BareEvent._default_manager.create(kind="job.submitted", subject=job.id)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_notify('bare_events', %s)", [str(job.id)])
        return Response({"job_id": str(job.id)}, status=status.HTTP_202_ACCEPTED)


def ready(_request: HttpRequest) -> HttpResponse:
    """Say that requests are served."""
    return HttpResponse("ready")
