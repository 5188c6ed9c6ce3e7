"""When a server that keeps failing is held, and for how long. Pure; no Django model.

    working ── failures in a row, or one hang ──► held ── wait over, it answers ──► on trial
       ▲                                           ▲                                   │
       │                                           └──────────── a failure ────────────┤
       └─────────────────────── a picture, or a person who releases it ────────────────┘

On trial it is given jobs again, one at a time as ever, and the first of them decides.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from servers.forge_errors import (
    ForgeBadReply,
    ForgeConnectionLost,
    ForgeError,
    ForgeFailed,
    ForgeStalled,
)

FAILURES_ALLOWED = 5
"""So many in a row hold a server. One more than a single job has tries, so that one bad job
cannot hold a good server."""

FIRST_HOLD = 30.0
LONGEST_HOLD = 1800.0

_BLAMED_ON_THE_SERVER = (ForgeConnectionLost, ForgeFailed, ForgeBadReply, ForgeStalled)
"""A server that is away, or wants another password, is waited for and needs no breaker."""


@dataclass(frozen=True)
class Conduct:
    """What is remembered of a server: failures and holds in a row, whether it is held now."""

    failures: int = 0
    holds: int = 0
    is_held: bool = False

    @property
    def is_on_trial(self) -> bool:
        """Whether its next failure holds it again, and longer."""
        return self.holds > 0 and not self.is_held


def may_be_the_servers_fault(error: ForgeError) -> bool:
    """Whether an error that ended an attempt counts against the server."""
    return isinstance(error, _BLAMED_ON_THE_SERVER) and not error.permanent


def after_failure(conduct: Conduct, *, at_once: bool) -> Conduct:
    """The conduct with one more failure. `at_once` holds for what costs too much to see five of."""
    failures = conduct.failures + 1
    if conduct.is_held:
        return replace(conduct, failures=failures)
    if conduct.is_on_trial or at_once or failures >= FAILURES_ALLOWED:
        return Conduct(failures, conduct.holds + 1, is_held=True)
    return replace(conduct, failures=failures)


def hold_seconds(holds: int) -> float:
    """Seconds that hold number `holds` (from 1) in a row lasts: doubling, a third of it jitter.

    The jitter keeps servers that failed together from being tried together.
    """
    longest = min(FIRST_HOLD * 2.0 ** min(holds - 1, 30), LONGEST_HOLD)
    return longest * random.uniform(2 / 3, 1)
