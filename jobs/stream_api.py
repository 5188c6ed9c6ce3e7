"""The doors to the event streams."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.views import APIView

from apikeys.authentication import SENTENCE
from apikeys.models import ApiKey
from events import asking
from events.asking import Place
from events.filters import Filter
from events.handover import EventStream
from events.models import Event
from events.outlet import Asked
from jobs.api import key_of
from jobs.errors import JobNotFound
from jobs.live import hub
from jobs.models import Job

LAST_EVENT_ID = "Last-Event-ID"
MAX_ID = 2**63 - 1


class PlaceQuery(serializers.Serializer[Any]):
    """Where in the log a stream begins, for clients that can't send Last-Event-ID."""

    last_event_id = serializers.IntegerField(
        min_value=0,
        max_value=MAX_ID,
        required=False,
        help_text="As the header Last-Event-ID, which counts more.",
    )
    after = serializers.IntegerField(
        min_value=0, max_value=MAX_ID, required=False, help_text="The same."
    )


class EventsQuery(PlaceQuery):
    """The query parameters of GET /events: what is given must all fit."""

    types = serializers.RegexField(
        r"^[a-z_.*]{1,64}(,[a-z_.*]{1,64}){0,31}$",
        required=False,
        help_text="Kinds of events between commas, like `job.completed,server.*`.",
    )
    job = serializers.UUIDField(required=False, help_text="Only about this job.")
    batch = serializers.UUIDField(required=False, help_text="Only about jobs of this batch.")
    server = serializers.CharField(
        max_length=64, required=False, help_text="Only about this server and its jobs; an alias."
    )
    key = serializers.UUIDField(
        required=False, help_text="Only about jobs submitted with this API key; its id."
    )


class EventsView(APIView):
    """GET /events: everything that happens, as it happens."""

    access: ClassVar = "application"
    # Only a GET can be answered without an end.
    http_method_names = ["get", "options"]

    def get(self, request: Request) -> HttpResponseBase:
        query = EventsQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked = query.validated_data
        kinds = tuple(asked["types"].split(",")) if "types" in asked else ()
        about = {name: str(asked[name]) for name in _ABOUT if name in asked}
        return _stream(request, _place(request, asked), Filter(kinds, **about))


class JobEventsView(APIView):
    """GET /queue/jobs/<id>/events: what happens to one job, from its beginning to its end."""

    access: ClassVar = "application"
    http_method_names = ["get", "options"]

    def get(self, request: Request, job_id: str) -> HttpResponseBase:
        query = PlaceQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        place = _place(request, query.validated_data)
        wanted = _id(job_id)
        has_ended, until = _story_of(wanted)
        if has_ended and place.after is not None and place.after >= until:
            # Tells a browser not to come back: it has seen the end.
            return HttpResponse(status=204)
        more = {"ends_with_job": True, "has_ended": has_ended, "until": until}
        return _stream(request, place, Filter(job=str(wanted)), otherwise=0, **more)


_ABOUT = ("job", "batch", "server", "key")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise JobNotFound(text) from error


def _story_of(job_id: UUID) -> tuple[bool, int]:
    """Whether a job has ended, and the id of the newest event about it. Raises JobNotFound."""
    status = Job.objects.filter(id=job_id).values_list("status", flat=True).first()
    if status is None:
        raise JobNotFound(job_id)
    about = Event.objects.filter(subject_type="job", subject_id=str(job_id))
    return status in Job.ENDED, about.order_by("-id").values_list("id", flat=True).first() or 0


def _stream(
    request: Request, place: Place, wanted: Filter, *, otherwise: int | None = None, **more: Any
) -> EventStream:
    hub.reserve()
    try:
        # In this order: a key that ends after the check ends by an event after the newest.
        newest = asking.newest()
        key = _still_valid(key_of(request))
        begin = asking.start(
            place, newest=newest, otherwise=newest if otherwise is None else otherwise
        )
        key_id = str(key.pk) if key else None
        asked = Asked(wanted, begin.position, begin.greeting, key_id, newest, **more)
        return EventStream(hub, asked)
    except BaseException:
        hub.release()
        raise


def _still_valid(key: ApiKey | None) -> ApiKey | None:
    if key is not None and not ApiKey.objects.filter(pk=key.pk, is_active=True).exists():
        raise AuthenticationFailed(SENTENCE)
    return key


def _place(request: Request, query: dict[str, Any]) -> Place:
    named = query.get("last_event_id", query.get("after"))
    return asking.place(request.headers.get(LAST_EVENT_ID), named)
