"""Included under /api/v1/."""

from django.urls import path

from servers import api

urlpatterns = [
    path("servers", api.ServersView.as_view(), name="servers"),
    path("servers/<str:alias>", api.ServerView.as_view(), name="server"),
    path("servers/<str:alias>/pause", api.ServerPauseView.as_view(), name="server-pause"),
    path("servers/<str:alias>/drain", api.ServerDrainView.as_view(), name="server-drain"),
    path("servers/<str:alias>/resume", api.ServerResumeView.as_view(), name="server-resume"),
]
