"""Included under /api/v1/."""

from django.urls import path

from servers.api import ServersView, ServerView

urlpatterns = [
    path("servers", ServersView.as_view(), name="servers"),
    path("servers/<str:alias>", ServerView.as_view(), name="server"),
]
