"""Which address leads to which app."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("api/v1/", include("apikeys.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "stablequeue_project.api.error_views.bad_request"
handler403 = "stablequeue_project.api.error_views.forbidden"
handler404 = "stablequeue_project.api.error_views.not_found"
handler500 = "stablequeue_project.api.error_views.server_error"
