"""What may go wrong: small steps, each with a name. All chance comes from the one handed in.

A step says in a few words what it did. What it leaves broken is mended when all gets quiet.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from chaos.stack import Stack
from chaos.steps import failpoints, fleet, forges, messages, postgres, processes, redis

Step = Callable[[Stack, random.Random], str]

STEPS: dict[str, Step] = {
    step.__name__.replace("_", "-"): step
    for group in (processes, redis, postgres, forges, failpoints, messages, fleet)
    for step in group.STEPS
}
"""All of them by name, in a fixed order: a seed must mean the same every time."""
