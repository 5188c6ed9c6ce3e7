"""The Celery application: one queue per Forge server, and one for chores.

Messages carry ids only and may be lost at any time: Postgres decides what runs.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from click import Option
from django.conf import settings

from stablequeue_project import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stablequeue_project.settings")

# Celery warns of root because a pickled message could run code; ours are JSON only.
warnings.filterwarnings("ignore", category=SecurityWarning)


class CelerySettings:
    """Celery's part of the Django settings, under Celery's own names.

    Celery shows in Flower all that it is given, and hides passwords only in its own names.
    """

    def __dir__(self) -> list[str]:
        return [
            name.removeprefix(_PREFIX).lower() for name in dir(settings) if name.startswith(_PREFIX)
        ]

    def __getattr__(self, name: str) -> Any:
        return getattr(settings, f"{_PREFIX}{name.upper()}")


_PREFIX = "CELERY_"

broker.use_it()
app = Celery("stablequeue")
app.config_from_object(CelerySettings())
app.autodiscover_tasks()
app.user_options["worker"].add(
    Option(["--servers"], is_flag=True, help="Serve the queues of all Forge servers.")
)
app.steps["worker"].add("jobs.watchdog:Watchdog")
app.steps["consumer"].add("jobs.consumer:ServerQueues")
