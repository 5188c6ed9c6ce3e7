"""How many requests a key may make in how much time: as text, as a value, as headers."""

from __future__ import annotations

import re
from dataclasses import dataclass

_FORM = re.compile(r"(?P<requests>[1-9][0-9]{0,6})/(?P<unit>[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
OFF = "off"

HEADERS = (
    "RateLimit-Policy",
    "RateLimit",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
)
"""Their names, in the order in which they are written."""


@dataclass(frozen=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate | None:
        """Read a text like `60/m`; None for `off`, which is no limit.

        Raises ValueError with a sentence.
        """
        if text == OFF:
            return None
        found = _FORM.fullmatch(text)
        if not found:
            raise ValueError(
                f"{text!r} is no rate like 60/m: a number up to 9999999, a slash, and s, m, h "
                "or d for a second, minute, hour or day; or the word off."
            )
        return cls(int(found["requests"]), _SECONDS[found["unit"]])


@dataclass(frozen=True)
class Use:
    """How much of its rate a key has used in the window that runs."""

    rate: Rate
    requests: int
    """Made in this window, this one and refused ones included."""
    seconds_left: int
    """Until the window is over, rounded up."""

    def headers(self, *, now: float) -> dict[str, str]:
        """Tell the client; `now` is a Unix time.

        The first two are those of the IETF draft "RateLimit header fields for HTTP", the
        next three those of its older versions, which clients of today read, and the last
        three what people did before it: there Reset is a Unix time, not a span.
        """
        limit, period = self.rate.requests, self.rate.seconds
        remaining, left = max(0, limit - self.requests), self.seconds_left
        values = (
            f'"default";q={limit};w={period}',
            f'"default";r={remaining};t={left}',
            *(limit, remaining, left),
            *(limit, remaining, int(now) + left),
        )
        return dict(zip(HEADERS, map(str, values), strict=True))
