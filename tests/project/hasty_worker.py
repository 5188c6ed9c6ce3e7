"""Our gunicorn worker with so little patience that a test need not wait for its end."""

from __future__ import annotations

from stablequeue_project.web_worker import ImpatientWorker


class HastyWorker(ImpatientWorker):
    head_patience = 0.5
    body_patience = 0.5
