"""The doors to the queue. Each checks what came in, calls one verb, and shows the result."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar
from uuid import UUID

from django.http import FileResponse, HttpResponse, HttpResponseBase
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.models import ApiKey
from events.idempotency import idempotent
from jobs import (
    forecast,
    images,
    inputs,
    intake,
    lifecycle,
    line,
    previews,
    queue_pause,
    thumbnails,
)
from jobs.batches import tallies
from jobs.errors import BatchNotFound, ImageNotFound, InputNotFound, JobNotFound, PreviewNotFound
from jobs.models import Batch, Image, Input, Job
from jobs.paging import by_time, page_of
from jobs.serializers import (
    BulkSerializer,
    GenerateSerializer,
    JobListQuery,
    MoveSerializer,
    PageQuery,
    PauseSerializer,
    PictureQuery,
    PlaceSerializer,
    RetryFailedSerializer,
    batch_on_the_wire,
    job_in_full,
    job_on_the_wire,
    names_of,
    queue_on_the_wire,
    span_on_the_wire,
    submitted_batch_on_the_wire,
)

R = TypeVar("R", bound=HttpResponseBase)

# Made once: to make one copies its sixty fields, which costs more than all the checking.
_GENERATE, _BULK = GenerateSerializer(), BulkSerializer()


class GenerateView(APIView):
    """POST /generate: accept a job."""

    access: ClassVar = "application"

    @idempotent()
    def post(self, request: Request) -> Response:
        job = intake.submit_one(_GENERATE.run_validation(request.data), key=key_of(request))
        return Response(names_of(job.id), status=accepted(job.source_info))


class BulkView(APIView):
    """POST /generate/bulk: accept many jobs at once, all or none."""

    access: ClassVar = "application"

    @idempotent()
    def post(self, request: Request) -> Response:
        asked = _BULK.run_validation(request.data)
        submitted = intake.submit_batch(asked, key=key_of(request))
        return Response(
            submitted_batch_on_the_wire(submitted), status=accepted(asked["source_info"])
        )


class BatchListView(APIView):
    """GET /batches: batches, newest first, with the number of all."""

    access: ClassVar = "application"

    def get(self, request: Request) -> Response:
        query = PageQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        batches = Batch.objects.all()
        total = batches.count()
        page = page_of(batches, query.validated_data, total=total)
        found = tallies(page)
        shown = [batch_on_the_wire(batch, found[batch.id]) for batch in page]
        return Response({"total": total, "batches": shown})


class BatchView(APIView):
    """GET /batches/<id>: how far one batch is."""

    access: ClassVar = "application"

    def get(self, request: Request, batch_id: str) -> Response:
        batch = Batch.objects.filter(id=_uuid(batch_id, BatchNotFound)).first()
        if batch is None:
            raise BatchNotFound(batch_id)
        end = span_on_the_wire(forecast.of_batch(batch))
        shown = batch_on_the_wire(batch, tallies([batch])[batch.id])
        return Response({**shown, "estimated_end": end})


class BatchCancelView(APIView):
    """POST /batches/<id>/cancel: end all jobs of a batch that have not ended."""

    access: ClassVar = "application"

    def post(self, request: Request, batch_id: str) -> Response:
        count = lifecycle.cancel_batch(batch_id=_uuid(batch_id, BatchNotFound))
        batch = Batch.objects.get(id=batch_id)
        return Response(
            {
                "success": True,
                "message": f"{count} jobs cancelled.",
                "cancelled": count,
                "batch": batch_on_the_wire(batch, tallies([batch])[batch.id]),
            }
        )


class JobListView(APIView):
    """GET /queue/jobs: jobs, newest first, with the number of all that match."""

    access: ClassVar = "application"

    def get(self, request: Request) -> Response:
        query = JobListQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        wanted = {name: asked[name] for name in ("status", "batch") if name in asked}
        jobs = Job.objects.filter(**wanted)
        total = jobs.count()
        # First which, then what: the rows before a late page need not be read.
        which = [job.id for job in page_of(jobs.only("id"), asked, total=total)]
        shown = Job.objects.filter(id__in=which).with_everything_shown()
        page = by_time(shown, asked["order"])
        return Response({"total": total, "jobs": [job_on_the_wire(job) for job in page]})


class JobView(APIView):
    """DELETE /queue/jobs/<id>: remove a job with its pictures."""

    access: ClassVar = "application"

    def delete(self, request: Request, job_id: str) -> Response:
        lifecycle.delete(job_id=_uuid(job_id))
        return Response({"message": f"Job {job_id} deleted successfully."})


class JobPlaceView(JobView):
    """PATCH /queue/jobs/<id>: give a job that waits another priority or class."""

    def patch(self, request: Request, job_id: str) -> Response:
        asked = PlaceSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        job = line.prioritise(job_id=_uuid(job_id), **asked.verb_arguments)
        return Response({"message": "Job changed successfully.", "job": job_on_the_wire(job)})


class JobStatusView(APIView):
    """GET /queue/jobs/<id>/status: one job."""

    access: ClassVar = "application"

    def get(self, request: Request, job_id: str) -> Response:
        job = Job.objects.with_everything_shown().filter(id=_uuid(job_id)).first()
        if job is None:
            raise JobNotFound(job_id)
        return Response(job_in_full(job))


class JobCancelView(APIView):
    """POST /queue/jobs/<id>/cancel: end a job that has not ended."""

    access: ClassVar = "application"

    def post(self, request: Request, job_id: str) -> Response:
        job = lifecycle.cancel(job_id=_uuid(job_id))
        return Response({"message": "Job cancelled successfully.", "job": job_on_the_wire(job)})


class JobMoveView(APIView):
    """POST /queue/jobs/<id>/move: change where a job stands among those that wait."""

    access: ClassVar = "application"

    def post(self, request: Request, job_id: str) -> Response:
        asked = MoveSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        job = line.move(job_id=_uuid(job_id), **asked.validated_data)
        return Response({"message": "Job moved.", "job": job_on_the_wire(job)})


class JobRunNowView(APIView):
    """POST /queue/jobs/<id>/run-now: let a job go first, also while all is paused."""

    access: ClassVar = "application"

    def post(self, request: Request, job_id: str) -> Response:
        job = line.run_now(job_id=_uuid(job_id))
        return Response({"message": "Job is next.", "job": job_on_the_wire(job)})


class QueueView(APIView):
    """GET /queue: whether the queue is paused, and how many jobs wait and run."""

    access: ClassVar = "application"

    def get(self, request: Request) -> Response:
        return Response(queue_on_the_wire(queue_pause.state()))


class QueuePauseView(APIView):
    """POST /queue/pause: start no further job on any server."""

    access: ClassVar = "application"

    def post(self, request: Request) -> Response:
        asked = PauseSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(queue_on_the_wire(queue_pause.pause(**asked.validated_data)))


class QueueResumeView(APIView):
    """POST /queue/resume: let jobs be started again."""

    access: ClassVar = "application"

    def post(self, request: Request) -> Response:
        return Response(queue_on_the_wire(queue_pause.resume()))


class JobRetryView(APIView):
    """POST /queue/jobs/<id>/retry: let a failed or cancelled job run again."""

    access: ClassVar = "application"

    def post(self, request: Request, job_id: str) -> Response:
        job = lifecycle.retry(job_id=_uuid(job_id))
        return Response({"message": "Job is tried again.", "job": job_on_the_wire(job)})


class RetryFailedView(APIView):
    """POST /queue/retry-failed: let failed jobs run again, all or those alike."""

    access: ClassVar = "application"

    def post(self, request: Request) -> Response:
        asked = RetryFailedSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        retried, left = intake.retry_failed(**asked.validated_data)
        message = f"{retried} jobs are tried again."
        return Response({"success": True, "message": message, "retried": retried, "left": left})


class StarView(APIView):
    """POST and DELETE /queue/jobs/<id>/star: spare a job from being removed, or don't."""

    access: ClassVar = "application"

    def post(self, request: Request, job_id: str) -> Response:
        job = lifecycle.star(job_id=_uuid(job_id), starred=True)
        return Response({"message": "Job is kept for ever.", "job": job_on_the_wire(job)})

    def delete(self, request: Request, job_id: str) -> Response:
        job = lifecycle.star(job_id=_uuid(job_id), starred=False)
        return Response({"message": "Job is kept like any other.", "job": job_on_the_wire(job)})


class OutputView(APIView):
    """GET /outputs/<name>: a picture, byte for byte as Forge made it, or a small version."""

    access: ClassVar = "media"

    def get(self, request: Request, name: str) -> HttpResponseBase:
        query = PictureQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        if not Image.objects.filter(name=name).exists():
            raise ImageNotFound
        size = query.validated_data.get("size")
        small = _thumbnail(name, size) if size else None
        return small or _file(images.path_of(name), "image/png", ImageNotFound(), for_ever=not size)


class PreviewView(APIView):
    """GET /queue/jobs/<id>/preview: what a job looks like while it is drawn."""

    access: ClassVar = "media"

    def get(self, request: Request, job_id: str) -> HttpResponseBase:
        job = Job.objects.only("status").filter(id=_uuid(job_id)).first()
        if job is None:
            raise JobNotFound(job_id)
        found = previews.find(job.id) if job.status == Job.Status.PROCESSING else None
        if found is None:
            raise PreviewNotFound
        picture, content_type = found
        return _as_media(HttpResponse(picture, content_type=content_type), "no-store")


class InputView(APIView):
    """GET /inputs/<sha256>: a picture that a client sent along."""

    access: ClassVar = "media"

    def get(self, request: Request, sha256: str) -> HttpResponseBase:
        stored = Input.objects.filter(sha256=sha256).first()
        if stored is None:
            raise InputNotFound
        return _file(inputs.path_of(sha256), stored.content_type, InputNotFound())


def key_of(request: Request) -> ApiKey | None:
    """The API key that a request showed; None from our own page."""
    return request.auth if isinstance(request.auth, ApiKey) else None


def accepted(source_info: str) -> int:
    """The status of a submit. One published client takes nothing but 200 for a success."""
    is_that_one = source_info == "civitai_browser_plus"
    return status.HTTP_200_OK if is_that_one else status.HTTP_202_ACCEPTED


def _uuid(text: str, missing: type[JobNotFound | BatchNotFound] = JobNotFound) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise missing(text) from error


def _thumbnail(name: str, size: str) -> FileResponse | None:
    """The thumbnail. None if there is none, or none yet."""
    try:
        return _file(thumbnails.path_of(name, size), thumbnails.CONTENT_TYPE, ImageNotFound())
    except ImageNotFound:
        thumbnails.make_again(name)
        return None


def _file(
    path: Any, content_type: str, missing: Exception, *, for_ever: bool = True
) -> FileResponse:
    try:
        response = FileResponse(path.open("rb"), content_type=content_type)
    except OSError as error:
        raise missing from error
    # A name is never given twice, so what it names never changes. But the picture itself may
    # stand in for a thumbnail yet to be made.
    caching = "max-age=31536000, immutable" if for_ever else "no-cache"
    return _as_media(response, f"private, {caching}")


def _as_media(response: R, caching: str) -> R:
    """Have browsers show an answer as a picture and as nothing else."""
    response["Cache-Control"] = caching
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response
