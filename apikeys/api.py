"""The REST resources of keys. They are for our own pages and local tools."""

from __future__ import annotations

import uuid
from typing import Any

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys import registry
from apikeys.errors import ApiKeyNotFound
from apikeys.models import ApiKey
from apikeys.permissions import Access
from apikeys.registry import NewKey
from apikeys.serializers import ApiKeyChange, ApiKeyCreation, ApiKeyOutput, new_key_output
from events.idempotency import idempotent


def _id_of_new(answer: Any) -> str:
    return str(answer["api_key"]["id"])


class SetupView(APIView):
    """Whether a first key is needed, and making it."""

    access: Access = "page"

    def get(self, request: Request) -> Response:
        """Say how many keys there are."""
        count = ApiKey.objects.count()
        return Response({"is_first_setup": count == 0, "existing_keys_count": count})

    @idempotent(created_id=_id_of_new)
    def post(self, request: Request) -> Response:
        """Make the first key."""
        words = ApiKeyCreation(data=request.data)
        words.is_valid(raise_exception=True)
        return _created("First API key", registry.create_first(**words.validated_data))


class ApiKeyListView(APIView):
    """All keys."""

    access: Access = "page"

    def get(self, request: Request) -> Response:
        """List them, the newest first."""
        keys = ApiKeyOutput(ApiKey.objects.all(), many=True)
        return Response({"success": True, "api_keys": keys.data})

    @idempotent(created_id=_id_of_new)
    def post(self, request: Request) -> Response:
        """Make one."""
        words = ApiKeyCreation(data=request.data)
        words.is_valid(raise_exception=True)
        return _created("API key", registry.create(**words.validated_data))


class ApiKeyView(APIView):
    """One key."""

    access: Access = "page"

    def get(self, request: Request, api_key_id: uuid.UUID) -> Response:
        """Show it."""
        api_key = ApiKey.objects.filter(id=api_key_id).first()
        if api_key is None:
            raise ApiKeyNotFound
        return Response({"success": True, "api_key": ApiKeyOutput(api_key).data})

    def put(self, request: Request, api_key_id: uuid.UUID) -> Response:
        """Change what is given."""
        words = ApiKeyChange(data=request.data)
        words.is_valid(raise_exception=True)
        api_key = registry.update(api_key_id, **words.validated_data)
        return Response(
            {
                "success": True,
                "message": "API key updated successfully",
                "api_key": ApiKeyOutput(api_key).data,
            }
        )

    def delete(self, request: Request, api_key_id: uuid.UUID) -> Response:
        """Remove it."""
        api_key = registry.delete(api_key_id)
        message = f'API key "{api_key.name}" ({str(api_key.id)[:8]}...) deleted successfully'
        return Response({"success": True, "message": message})


def _created(what: str, new: NewKey) -> Response:
    return Response(
        {
            "success": True,
            "message": f"{what} created successfully",
            "api_key": new_key_output(new),
        },
        status=status.HTTP_201_CREATED,
        headers={"Cache-Control": "no-store"},
    )
