"""How often a key may ask."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django_ratelimit.core import get_usage  # type: ignore[import-untyped]
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apikeys.models import ApiKey
from apikeys.rates import Rate, Use


class KeyRate(BaseThrottle):
    """Holds each key to its own rate, or to the one set for all.

    Counted are requests with a valid key, by the key's id and nothing the client can vary.
    Our pages show none, and wrong ones were refused before. A window begins at the same
    moment in all processes, at another one for each key.
    """

    _use: Use

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the request and say whether it may pass; its answer will tell what is left."""
        rate = _rate_of(request.auth) if isinstance(request.auth, ApiKey) else None
        if rate is None:
            return True
        usage = get_usage(
            request,
            group="api_key",
            key=lambda group, request: str(request.auth.id),
            rate=(rate.requests, rate.seconds),
            increment=True,
        )
        # It counts the seconds until the window's last one begins; clients need its end.
        self._use = Use(rate, usage["count"], max(1, usage["time_left"] + 1))
        # DRF puts these on every answer of the view, whatever becomes of the request.
        view.headers.update(self._use.headers(now=time.time()))
        return not usage["should_limit"]

    def wait(self) -> float:
        """Return the seconds after which a refused client may ask again."""
        return self._use.seconds_left


def _rate_of(api_key: ApiKey) -> Rate | None:
    if api_key.rate_limit:
        return Rate.parse(api_key.rate_limit)
    rate: Rate | None = settings.RATE_LIMIT
    return rate
