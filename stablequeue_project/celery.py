"""The Celery application: one queue per Forge server, and one for chores.

Messages carry ids only and may be lost at any time: Postgres decides what runs.
"""

from __future__ import annotations

import os
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning
from click import Option

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stablequeue_project.settings")

# Celery warns of root because a pickled message could run code; ours are JSON only.
warnings.filterwarnings("ignore", category=SecurityWarning)

app = Celery("stablequeue")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.user_options["worker"].add(
    Option(["--servers"], is_flag=True, help="Serve the queues of all Forge servers.")
)
app.steps["consumer"].add("jobs.consumer:ServerQueues")
