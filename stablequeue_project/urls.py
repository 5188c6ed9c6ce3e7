"""Which address leads to which app."""

from django.contrib import admin
from django.urls import include, path

from jobs.api import OutputView
from stablequeue_project import pages, views
from stablequeue_project.api.docs import ApiDocsPage, OpenApiView

urlpatterns = [
    path("", pages.QueuePage.as_view()),
    path("create", pages.CreatePage.as_view()),
    path("gallery", pages.GalleryPage.as_view()),
    path("servers", pages.ServersPage.as_view()),
    path("keys", pages.KeysPage.as_view()),
    path("queue/now", pages.QueueNowView.as_view()),
    path("status", views.status),
    path("health", views.HealthView.as_view()),
    path("metrics", views.MetricsView.as_view()),
    path("outputs/<str:name>", OutputView.as_view()),
    path("api/v1/", include("apikeys.urls")),
    path("api/v1/", include("servers.urls")),
    path("api/v1/", include("models_catalog.urls")),
    path("api/v1/", include("webhooks.urls")),
    path("api/v1/", include("jobs.urls")),
    path("api/v2/", include("jobs.urls_v2")),
    path("api/docs", ApiDocsPage.as_view()),
    path("api/openapi.json", OpenApiView.as_view(), name="openapi"),
    path("admin/", admin.site.urls),
]

handler400 = "stablequeue_project.api.error_views.bad_request"
handler403 = "stablequeue_project.api.error_views.forbidden"
handler404 = "stablequeue_project.api.error_views.not_found"
handler500 = "stablequeue_project.api.error_views.server_error"
