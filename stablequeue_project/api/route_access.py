"""Which class of access the view at an address declares."""

from __future__ import annotations

import functools
from typing import Any

from django.urls import Resolver404, resolve


def access_of_view(view: Any) -> str | None:
    """Return the `access` of the class behind a view function, None if it has none."""
    view_class = getattr(view, "cls", None) or getattr(view, "view_class", None)
    return getattr(view_class, "access", None)


@functools.lru_cache(maxsize=1024)
def access_at(path: str) -> str | None:
    """Return the access class of the route at `path`; None where no REST view is."""
    try:
        return access_of_view(resolve(path).func)
    except Resolver404:
        return None
