"""The errors of the apps that clients get to see: each has a `code` and a sentence."""

from __future__ import annotations

from apikeys.errors import ApiKeyError
from events.errors import EventsError
from events.idempotency import IdempotencyError
from jobs.errors import JobError
from models_catalog.errors import CatalogError
from models_catalog.names import CheckpointNameError
from servers.errors import ServerError
from webhooks.errors import WebhookError

DOMAIN_ERRORS: tuple[type[Exception], ...] = (
    ApiKeyError,
    CatalogError,
    CheckpointNameError,
    EventsError,
    IdempotencyError,
    JobError,
    ServerError,
    WebhookError,
)
"""The base classes. Every class below them must have its code in `codes.CODES`."""
