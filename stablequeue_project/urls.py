"""Which address leads to which app."""

from django.contrib import admin
from django.urls import include, path

from jobs.api import OutputView
from stablequeue_project import views

urlpatterns = [
    path("", views.home),
    path("status", views.StatusView.as_view()),
    path("outputs/<str:name>", OutputView.as_view()),
    path("api/v1/", include("apikeys.urls")),
    path("api/v1/", include("servers.urls")),
    path("api/v1/", include("jobs.urls")),
    path("admin/", admin.site.urls),
]
