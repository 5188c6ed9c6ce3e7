"""The pages. Each shows what there is without a script; changes go through the REST API."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from django.core.paginator import Paginator
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.generic import TemplateView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apikeys.models import ApiKey
from apikeys.page_cookie import PageView
from jobs import presence
from jobs.models import Image, Job
from servers.models import Server
from stablequeue_project import wording
from stablequeue_project.queue_now import ROWS, Picture, lanes_now, queue_now

PICTURES_PER_PAGE = 60


@dataclass(frozen=True)
class NavigationItem:
    """One of our pages in the list of them all."""

    name: str
    short_name: str
    """For the bar of a phone."""
    url: str
    icon: str
    count: int | None = None


def _navigation() -> list[NavigationItem]:
    unfinished = Job.objects.filter(status__in=["pending", "processing"]).count()
    pictures, servers = Image.objects.count(), Server.objects.active().count()
    return [
        NavigationItem("Queue", "Queue", "/", "queue", unfinished),
        NavigationItem("Create", "Create", "/create", "create"),
        NavigationItem("Gallery", "Gallery", "/gallery", "gallery", pictures),
        NavigationItem("Servers", "Servers", "/servers", "servers", servers),
        NavigationItem("API Keys", "Keys", "/keys", "key"),
    ]


class Page(PageView, TemplateView):
    """What all pages share: the cookie, the navigation, the title."""

    title: ClassVar[str]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-cache")
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        shared = {
            "title": self.title,
            "navigation": _navigation(),
            "missing": presence.missing_roles(),
        }
        return super().get_context_data(**shared, **kwargs)


class QueuePage(Page):
    """What runs, what is next, what needs somebody."""

    template_name = "stablequeue/queue.html"
    title = "Queue"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        tab = _tab(self.request)
        now = queue_now(tab)
        tabs = [(name, word, now.counts[name]) for name, word in TABS.items()]
        return super().get_context_data(now=now, tab=tab, tabs=tabs, **kwargs)


TABS = {
    "all": "All",
    "waiting": "Waiting",
    "generating": "Generating",
    "failed": "Failed",
    "completed": "Completed",
}


def _tab(request: HttpRequest | Request) -> str:
    asked = request.GET.get("show", "all")
    return asked if asked in ROWS else "all"


class QueueNowView(APIView):
    """GET /queue/now: what changed on the Queue page, in the page's own words."""

    access: ClassVar = "page"

    def get(self, request: Request) -> Response:
        return Response(asdict(queue_now(_tab(request))), headers={"Cache-Control": "no-store"})


class CreatePage(Page):
    """A form that asks for pictures."""

    template_name = "stablequeue/create.html"
    title = "Create"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(lanes=lanes_now(), **kwargs)


class GalleryPage(Page):
    """The pictures, newest first."""

    template_name = "stablequeue/gallery.html"
    title = "Gallery"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        images = Image.objects.select_related("job").order_by("-id")
        page = Paginator(images, PICTURES_PER_PAGE).get_page(self.request.GET.get("page"))
        tiles = [
            {
                "job": image.job,
                "prompt": wording.prompt_of(image.job),
                "picture": Picture(f"/outputs/{image.name}", *wording.size_of(image.job)),
            }
            for image in page
        ]
        return super().get_context_data(page=page, tiles=tiles, **kwargs)


class ServersPage(Page):
    """The Forge servers."""

    template_name = "stablequeue/servers.html"
    title = "Servers"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        lanes = {lane.alias: lane for lane in lanes_now()}
        servers = [(server, lanes.get(server.alias)) for server in Server.objects.active()]
        return super().get_context_data(servers=servers, **kwargs)


class KeysPage(Page):
    """The keys of applications."""

    template_name = "stablequeue/keys.html"
    title = "API Keys"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        alias = Server.objects.active().values_list("alias", flat=True).first()
        return super().get_context_data(
            api_keys=ApiKey.objects.all(), example_alias=alias or "Laptop", **kwargs
        )
