"""All that is described, in the order of the documentation."""

from __future__ import annotations

from stablequeue_project.api.reference.batches import BATCHES
from stablequeue_project.api.reference.catalogue import CATALOGUE
from stablequeue_project.api.reference.dialect import DIALECT
from stablequeue_project.api.reference.events import EVENTS, WEBHOOKS
from stablequeue_project.api.reference.jobs import JOBS
from stablequeue_project.api.reference.keys import KEYS
from stablequeue_project.api.reference.operation import Operation
from stablequeue_project.api.reference.queue import QUEUE
from stablequeue_project.api.reference.servers import SERVERS
from stablequeue_project.api.reference.storage import STORAGE

CHAPTERS = (JOBS, QUEUE, BATCHES, EVENTS, WEBHOOKS, SERVERS, CATALOGUE, KEYS, STORAGE, DIALECT)

OPERATIONS: dict[str, Operation] = {
    at: operation for chapter in CHAPTERS for at, operation in chapter.operations.items()
}

TITLES = {at: chapter.title for chapter in CHAPTERS for at in chapter.operations}
