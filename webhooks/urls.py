"""The addresses of webhooks, below /api/v1/."""

from django.urls import path

from webhooks import api

_ONE = "webhooks/<uuid:webhook_id>"

urlpatterns = [
    path("webhooks", api.WebhookListView.as_view()),
    path(_ONE, api.WebhookView.as_view()),
    path(f"{_ONE}/rotate-secret", api.WebhookSecretView.as_view()),
    path(f"{_ONE}/deliveries", api.DeliveryListView.as_view()),
    path(f"{_ONE}/deliveries/<uuid:delivery_id>/replay", api.ReplayView.as_view()),
]
