"""Every error code an answer may carry, with its HTTP status and what it tells a client.

The table is also the documentation of errors: docs are compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Code:
    """The HTTP status of an error and its meaning, in a sentence for the docs."""

    status: int
    meaning: str


CODES: dict[str, Code] = {
    # Requests that can't be understood
    "VALIDATION_FAILED": Code(400, "A value is missing or wrong; `fields` names it."),
    "BROKEN_JSON": Code(400, "The body is no JSON, or holds what JSON does not allow."),
    "BODY_TOO_LARGE": Code(413, "The body is larger than 32 MiB."),
    "LENGTH_REQUIRED": Code(411, "The body's length is not known; send Content-Length."),
    "NOT_JSON": Code(415, "The body is not sent as `application/json`."),
    "METHOD_NOT_ALLOWED": Code(405, "This address does not know the method."),
    "NOT_FOUND": Code(404, "There is nothing at this address."),
    "RATE_LIMITED": Code(429, "Too many requests; wait for `Retry-After` seconds."),
    # Repeated requests
    "IDEMPOTENCY_IN_PROGRESS": Code(409, "The first request with this Idempotency-Key still runs."),
    "IDEMPOTENCY_MISMATCH": Code(422, "The Idempotency-Key was used with another body."),
    "IDEMPOTENCY_SECRET_SHOWN": Code(
        409, "A repeat of what made `details.created_id`; its secret is shown only once."
    ),
    # Who asks, and from where
    "UNAUTHORIZED": Code(401, "The API key is missing or wrong."),
    "FORBIDDEN": Code(403, "This is not allowed."),
    "ORIGIN_REFUSED": Code(403, "Another web page may not do this; see STABLEQUEUE_ORIGINS."),
    "HOST_REFUSED": Code(400, "The Host header names no address of ours; see STABLEQUEUE_HOSTS."),
    # Our own state
    "DATABASE_UNAVAILABLE": Code(503, "The database is away; nothing was stored. Try again."),
    "STORAGE_UNAVAILABLE": Code(503, "The disk is full or refuses; nothing was stored."),
    "TOO_MANY_STREAMS": Code(503, "No more event streams are held; see STABLEQUEUE_MAX_STREAMS."),
    "INTERNAL_ERROR": Code(500, "StableQueue failed; its log says how."),
    # API keys
    "API_KEY_NOT_FOUND": Code(404, "There is no API key with this id."),
    "API_KEY_SETUP_DONE": Code(409, "The first API key exists already."),
    # Servers
    "SERVER_NOT_FOUND": Code(404, "There is no server with this alias."),
    "SERVER_EXISTS": Code(409, "A server with this alias exists already."),
    "SERVER_ALIAS_INVALID": Code(400, "A server can't be called that."),
    "SERVER_ADDRESS_INVALID": Code(400, "The address can't be that of a Forge server."),
    # Jobs and their pictures
    "JOB_NOT_FOUND": Code(404, "There is no job with this id."),
    "JOB_OPERATION_INVALID": Code(400, "The job's status does not allow this."),
    "JOBS_APART": Code(400, "The two jobs wait for different servers."),
    "TOO_MANY_WAITING": Code(429, "The key has as many jobs waiting as it may; see `max_waiting`."),
    "BATCH_NOT_FOUND": Code(404, "There is no batch with this id."),
    "IMAGE_NOT_FOUND": Code(404, "There is no such picture."),
    "PREVIEW_NOT_FOUND": Code(404, "There is no preview of this job now."),
    "INPUT_NOT_FOUND": Code(404, "There is no such input picture."),
    # Webhooks
    "WEBHOOK_NOT_FOUND": Code(404, "There is no webhook with this id."),
    "WEBHOOK_DELIVERY_NOT_FOUND": Code(404, "The webhook has no such delivery, or not any more."),
    "WEBHOOK_OFF": Code(409, "The webhook is switched off; activate it first."),
    "TOO_MANY_WEBHOOKS": Code(409, "There are as many webhooks as there may be."),
    # Checkpoint names
    "CHECKPOINT_NAME_INVALID": Code(400, "The text can't be a checkpoint's name."),
    "CHECKPOINT_NOT_FOUND": Code(400, "The server has no such checkpoint."),
    "CHECKPOINT_AMBIGUOUS": Code(400, "Several checkpoints of the server fit the name."),
    # Model files
    "SERVER_UNAVAILABLE": Code(503, "The server does not tell what it has; the message says why."),
    "MODEL_NOT_FOUND": Code(404, "There is no model file with this id, path or name."),
    "MODEL_AMBIGUOUS": Code(409, "Several model files have this name; the message lists them."),
    "MODEL_PREVIEW_NOT_FOUND": Code(404, "The model file has no such preview picture."),
    "NOT_AVAILABLE_YET": Code(503, "This version of StableQueue can't do it yet."),
}
