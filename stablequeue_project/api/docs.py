"""The description of the API, served: the page for people and the document for programs."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import FileResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from apikeys.permissions import Access
from stablequeue_project.api.codes import CODES
from stablequeue_project.api.reference.files import OPENAPI
from stablequeue_project.pages import Page


class ApiDocsPage(Page):
    """Every operation, to read and to try; and every error code, with its name as the anchor."""

    access: ClassVar[Access] = "page"
    template_name = "stablequeue/api_docs.html"
    title = "API"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the codes."""
        return super().get_context_data(codes=CODES, **kwargs)


class OpenApiView(APIView):
    """GET /api/openapi.json: the OpenAPI document as it was made from the code."""

    access: Access = "page"
    schema = None

    def get(self, request: Request) -> FileResponse:
        """Send the file."""
        return FileResponse(OPENAPI.open("rb"), content_type="application/json")
