"""Which form an answer has: the one form its view knows, whatever the Accept header says."""

from __future__ import annotations

from collections.abc import Iterable

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request


class OneForm(DefaultContentNegotiation):
    """Never refuses with 406: who asks for a picture or an event stream gets it, and errors too.

    A client that accepts only problem details still gets its results, as JSON.
    """

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the view's first renderer and its media type."""
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)
