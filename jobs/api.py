"""The doors to the queue. Each checks what came in, calls one verb, and shows the result."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.http import FileResponse, HttpResponseBase
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.models import ApiKey
from jobs import images, inputs, lifecycle, payload
from jobs.errors import ImageNotFound, InputNotFound, JobNotFound
from jobs.models import Image, Input, Job
from jobs.parameters import draw_seed
from jobs.serializers import GenerateSerializer, JobListQuery, job_on_the_wire
from servers import fleet


class GenerateView(APIView):
    """POST /generate: accept a job."""

    access: ClassVar = "application"

    def post(self, request: Request) -> Response:
        body = GenerateSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        server = fleet.find_server(body.validated_data["target_server_alias"])
        parameters, kept = inputs.keep(
            body.validated_data["generation_params"], field="generation_params"
        )
        job = lifecycle.submit(
            server=server,
            kind=payload.kind_of(parameters),
            parameters=parameters,
            seed=draw_seed(parameters),
            inputs=kept,
            key=request.auth if isinstance(request.auth, ApiKey) else None,
            source_info=body.validated_data["source_info"],
        )
        names = ("stablequeue_job_id", "mobilesd_job_id", "job_id")
        return Response(dict.fromkeys(names, str(job.id)), status=status.HTTP_202_ACCEPTED)


class JobListView(APIView):
    """GET /queue/jobs: jobs, newest first, with the number of all that match."""

    access: ClassVar = "application"

    def get(self, request: Request) -> Response:
        query = JobListQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        jobs = Job.objects.filter(**({"status": asked["status"]} if "status" in asked else {}))
        sign = "-" if asked["order"] == "desc" else ""
        first, last = asked["offset"], asked["offset"] + asked["limit"]
        page = jobs.with_everything_shown().order_by(f"{sign}created_at", f"{sign}id")[first:last]
        return Response({"total": jobs.count(), "jobs": [job_on_the_wire(job) for job in page]})


class JobView(APIView):
    """DELETE /queue/jobs/<id>: remove a job with its pictures."""

    access: ClassVar = "application"

    def delete(self, request: Request, job_id: str) -> Response:
        lifecycle.delete(job_id=_uuid(job_id))
        return Response({"message": f"Job {job_id} deleted successfully."})


class JobStatusView(APIView):
    """GET /queue/jobs/<id>/status: one job."""

    access: ClassVar = "application"

    def get(self, request: Request, job_id: str) -> Response:
        job = Job.objects.with_everything_shown().filter(id=_uuid(job_id)).first()
        if job is None:
            raise JobNotFound(job_id)
        return Response(job_on_the_wire(job))


class JobCancelView(APIView):
    """POST /queue/jobs/<id>/cancel: end a job that has not ended."""

    access: ClassVar = "application"

    def post(self, request: Request, job_id: str) -> Response:
        job = lifecycle.cancel(job_id=_uuid(job_id))
        return Response({"message": "Job cancelled successfully.", "job": job_on_the_wire(job)})


class OutputView(APIView):
    """GET /outputs/<name>: a picture, byte for byte as Forge made it."""

    access: ClassVar = "media"

    def get(self, request: Request, name: str) -> HttpResponseBase:
        if not Image.objects.filter(name=name).exists():
            raise ImageNotFound
        return _file(images.path_of(name), "image/png", ImageNotFound())


class InputView(APIView):
    """GET /inputs/<sha256>: a picture that a client sent along."""

    access: ClassVar = "media"

    def get(self, request: Request, sha256: str) -> HttpResponseBase:
        stored = Input.objects.filter(sha256=sha256).first()
        if stored is None:
            raise InputNotFound
        return _file(inputs.path_of(sha256), stored.content_type, InputNotFound())


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise JobNotFound(text) from error


def _file(path: Any, content_type: str, missing: Exception) -> FileResponse:
    try:
        response = FileResponse(path.open("rb"), content_type=content_type)
    except OSError as error:
        raise missing from error
    # A name is never given twice, so what it names never changes.
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
