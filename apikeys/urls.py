"""The addresses of keys, below `/api/v1/`."""

from django.urls import path

from apikeys.api import ApiKeyListView, ApiKeyView, SetupView

urlpatterns = [
    path("api-keys", ApiKeyListView.as_view()),
    path("api-keys/setup", SetupView.as_view()),
    path("api-keys/<uuid:api_key_id>", ApiKeyView.as_view()),
]
