"""The routes of the bare view, under the names of the product's."""

from __future__ import annotations

from django.urls import path

from bench.bare.views import BareGenerateView, ready

urlpatterns = [
    path("api/v1/generate", BareGenerateView.as_view()),
    path("status", ready),
]
