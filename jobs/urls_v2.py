"""The addresses of the older dialect, below /api/v2/."""

from django.urls import path

from jobs import api_v2
from servers.api import ServersView

urlpatterns = [
    path("generate", api_v2.GenerateV2View.as_view()),
    path("generate/bulk", api_v2.BulkV2View.as_view()),
    path("jobs", api_v2.JobListV2View.as_view()),
    path("jobs/<str:job_id>", api_v2.JobV2View.as_view()),
    path("jobs/<str:job_id>/status", api_v2.JobStatusV2View.as_view()),
    path("jobs/<str:job_id>/cancel", api_v2.JobCancelV2View.as_view()),
    # A bare array here too: the extensions go through it as it comes.
    path("servers", ServersView.as_view(http_method_names=["get", "head", "options"])),
]
