"""The doors to the webhooks. A key sees its own, our pages see all."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.models import ApiKey
from events.idempotency import idempotent
from webhooks import registry
from webhooks.models import Delivery
from webhooks.serializers import (
    DeliveryOutput,
    WebhookChange,
    WebhookCreation,
    WebhookOutput,
    new_secret_output,
)

SHOWN_DELIVERIES = 200
_NO_STORE = {"Cache-Control": "no-store"}


def _id_of_new(answer: Any) -> str:
    return str(answer["webhook"]["id"])


class WebhookListView(APIView):
    """All webhooks, but those of single jobs."""

    access: ClassVar = "application"

    def get(self, request: Request) -> Response:
        """List them."""
        shown = WebhookOutput(registry.visible_to(_key_of(request)), many=True)
        return Response({"success": True, "webhooks": shown.data})

    @idempotent(created_id=_id_of_new)
    def post(self, request: Request) -> Response:
        """Make one."""
        told = WebhookCreation(data=request.data)
        told.is_valid(raise_exception=True)
        new = registry.create(key=_key_of(request), **told.validated_data)
        shown = {"success": True, "webhook": new_secret_output(new)}
        return Response(shown, status=status.HTTP_201_CREATED, headers=_NO_STORE)


class WebhookView(APIView):
    """One webhook."""

    access: ClassVar = "application"

    def get(self, request: Request, webhook_id: UUID) -> Response:
        """Show it."""
        endpoint = registry.find(webhook_id, _key_of(request))
        return Response({"success": True, "webhook": WebhookOutput(endpoint).data})

    def put(self, request: Request, webhook_id: UUID) -> Response:
        """Change what is given."""
        told = WebhookChange(data=request.data)
        told.is_valid(raise_exception=True)
        endpoint = registry.update(webhook_id, key=_key_of(request), **told.validated_data)
        return Response({"success": True, "webhook": WebhookOutput(endpoint).data})

    def delete(self, request: Request, webhook_id: UUID) -> Response:
        """Remove it."""
        registry.delete(webhook_id, key=_key_of(request))
        return Response({"success": True, "message": "Webhook deleted successfully."})


class WebhookSecretView(APIView):
    """POST /webhooks/<id>/rotate-secret: a new secret; the old one signs along for a day."""

    access: ClassVar = "application"

    def post(self, request: Request, webhook_id: UUID) -> Response:
        new = registry.rotate_secret(webhook_id, key=_key_of(request))
        shown = {"success": True, "webhook": new_secret_output(new)}
        return Response(shown, headers=_NO_STORE)


class DeliveryListView(APIView):
    """GET /webhooks/<id>/deliveries: the latest, with those that wait."""

    access: ClassVar = "application"

    def get(self, request: Request, webhook_id: UUID) -> Response:
        endpoint = registry.find(webhook_id, _key_of(request))
        latest = Delivery.objects.filter(endpoint=endpoint).order_by("-event_id")
        shown = DeliveryOutput(latest[:SHOWN_DELIVERIES], many=True)
        return Response({"success": True, "deliveries": shown.data})


class ReplayView(APIView):
    """POST /webhooks/<id>/deliveries/<id>/replay: send it once more."""

    access: ClassVar = "application"

    def post(self, request: Request, webhook_id: UUID, delivery_id: UUID) -> Response:
        delivery = registry.replay(webhook_id, delivery_id, key=_key_of(request))
        shown = {"success": True, "delivery": DeliveryOutput(delivery).data}
        return Response(shown, status=status.HTTP_202_ACCEPTED)


def _key_of(request: Request) -> ApiKey | None:
    return request.auth if isinstance(request.auth, ApiKey) else None
