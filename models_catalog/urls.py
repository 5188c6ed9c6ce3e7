"""Included under /api/v1/.

An id may hold slashes: it is a file's path below its folder, once the server has decoded it.
"""

from django.urls import path

from models_catalog import api

urlpatterns = [
    path("checkpoints", api.CheckpointsView.as_view()),
    path("loras", api.LorasView.as_view()),
    path("samplers", api.SamplersView.as_view()),
    path("models", api.ModelsView.as_view()),
    path("models/scan", api.ScanView.as_view()),
    path("models/scan/stop", api.ScanStopView.as_view()),
    path("models/<path:model_id>/info", api.ModelInfoView.as_view()),
    path("models/<path:model_id>/preview", api.ModelPreviewView.as_view()),
    path("models/<path:model_id>/refresh-metadata", api.RefreshMetadataView.as_view()),
    path("civitai/image-info", api.ImageInfoView.as_view()),
    path("civitai/download-model", api.DownloadModelView.as_view()),
    path("debug/verify-checkpoint", api.VerifyCheckpointView.as_view()),
    path("debug/models-cache", api.ModelsCacheView.as_view()),
]
