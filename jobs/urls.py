"""The queue's addresses, below /api/v1/."""

from django.urls import path

from jobs import api, storage_api, stream_api

urlpatterns = [
    path("generate", api.GenerateView.as_view()),
    path("generate/bulk", api.BulkView.as_view()),
    path("batches", api.BatchListView.as_view()),
    path("batches/<str:batch_id>", api.BatchView.as_view()),
    path("batches/<str:batch_id>/cancel", api.BatchCancelView.as_view()),
    path("queue/jobs", api.JobListView.as_view()),
    path("queue/jobs/<str:job_id>", api.JobPlaceView.as_view()),
    path("queue/jobs/<str:job_id>/status", api.JobStatusView.as_view()),
    path("queue/jobs/<str:job_id>/preview", api.PreviewView.as_view()),
    path("queue/jobs/<str:job_id>/cancel", api.JobCancelView.as_view()),
    path("queue/jobs/<str:job_id>/retry", api.JobRetryView.as_view()),
    path("queue/jobs/<str:job_id>/move", api.JobMoveView.as_view()),
    path("queue/jobs/<str:job_id>/run-now", api.JobRunNowView.as_view()),
    path("queue", api.QueueView.as_view()),
    path("queue/pause", api.QueuePauseView.as_view()),
    path("queue/resume", api.QueueResumeView.as_view()),
    path("queue/jobs/<str:job_id>/events", stream_api.JobEventsView.as_view()),
    path("events", stream_api.EventsView.as_view()),
    path("queue/retry-failed", api.RetryFailedView.as_view()),
    path("queue/jobs/<str:job_id>/star", api.StarView.as_view()),
    path("settings/storage", storage_api.StorageSettingsView.as_view()),
    path("inputs/<str:sha256>", api.InputView.as_view()),
]
