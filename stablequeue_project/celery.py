"""The Celery application: one queue per Forge server, and one for chores.

Messages carry ids only and may be lost at any time: Postgres decides what runs.
"""

from __future__ import annotations

import os

from celery import Celery
from click import Option

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "stablequeue_project.settings")

app = Celery("stablequeue")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.user_options["worker"].add(
    Option(["--servers"], is_flag=True, help="Serve the queues of all Forge servers.")
)
app.steps["consumer"].add("jobs.consumer:ServerQueues")
