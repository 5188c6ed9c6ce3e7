"""The doors to what is kept and for how long."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs import retention
from jobs.storage_serializers import KeepRuleSerializer, storage_on_the_wire


class StorageSettingsView(APIView):
    """GET and PUT /settings/storage: how long things are kept, and how much room there is."""

    access: ClassVar = "page"

    def get(self, request: Request) -> Response:
        return Response(storage_on_the_wire())

    def put(self, request: Request) -> Response:
        asked = KeepRuleSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        retention.set_rule(**asked.validated_data)
        return Response(storage_on_the_wire())
