"""What operations share: the parts of addresses, who may call, errors, headers."""

from __future__ import annotations

from typing import Any

from apikeys.page_cookie import NAME as PAGE_COOKIE
from apikeys.rates import HEADERS as RATE_HEADERS
from events import idempotency
from events.idempotency import REPLAY_HEADER
from stablequeue_project.api.codes import CODES
from stablequeue_project.api.envelope import JSON, PROBLEM_JSON

Schema = dict[str, Any]

_UUID: Schema = {"type": "string", "format": "uuid"}

PATH_PARAMETERS: dict[str, tuple[Schema, str]] = {
    "job_id": (_UUID, "The id of a job."),
    "batch_id": (_UUID, "The id of a batch."),
    "api_key_id": (_UUID, "The id of an API key; not the key itself."),
    "webhook_id": (_UUID, "The id of a webhook."),
    "delivery_id": (_UUID, "The id of one of its deliveries."),
    "alias": ({"type": "string", "minLength": 1}, "The alias of a server."),
    "model_id": (
        {"type": "string", "minLength": 1},
        "The id, path or name of a model file.",
    ),
    "name": ({"type": "string", "minLength": 1}, "The name of a picture."),
    "sha256": ({"type": "string", "pattern": "^[0-9a-f]{64}$"}, "The SHA-256 of the picture."),
}
"""The variable parts of addresses: their JSON Schema and what they are."""

IDEMPOTENCY_KEY = idempotency.HEADER
REQUEST_HEADERS: dict[str, tuple[Schema, str]] = {
    IDEMPOTENCY_KEY: (
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x21-\x7e]+$"},
        "Any text that names this request: a repeat with the same one is answered alike, and "
        "makes nothing twice.",
    ),
    "Last-Event-ID": (
        {"type": "string", "pattern": "^[0-9]{1,18}$"},
        "The id of the event that was seen last.",
    ),
}
"""Headers that an operation may be asked with: their JSON Schema and what they are for."""

_KEY: list[dict[str, list[str]]] = [{"ApiKey": [], "ApiSecret": []}, {"Bearer": []}]
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "application": [*_KEY, {"Page": []}],
    "page": [{}, *_KEY],
    "media": [{}, *_KEY],
    "open": [{}, *_KEY, {"Page": []}],
}
"""What the access classes of routes ask for; an empty object is nothing."""

SECURITY_SCHEMES: Schema = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "ApiSecret": {"type": "apiKey", "in": "header", "name": "X-API-Secret"},
    "Bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "base64 of `key:secret`.",
    },
    "Page": {
        "type": "apiKey",
        "in": "cookie",
        "name": PAGE_COOKIE,
        "description": "What StableQueue's own pages show in place of a key.",
    },
}

EVERYWHERE = (
    *("HOST_REFUSED", "UNAUTHORIZED", "ORIGIN_REFUSED", "METHOD_NOT_ALLOWED", "RATE_LIMITED"),
    *("INTERNAL_ERROR", "DATABASE_UNAVAILABLE"),
)
"""Codes that any request may be answered with."""

WITH_A_CHANGE = ("LENGTH_REQUIRED", "BODY_TOO_LARGE", "NOT_JSON")
"""Codes of requests that are no GET."""

WITH_AN_IDEMPOTENCY_KEY = ("IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_MISMATCH")

WITH_A_BODY = ("BROKEN_JSON", "VALIDATION_FAILED")

_DETAILS: Schema = {
    "code": {"type": "string", "enum": sorted(CODES)},
    "timestamp": {"type": "string", "format": "date-time"},
    "fields": {
        "type": "object",
        "additionalProperties": {"type": "array", "items": {"type": "string"}},
        "description": "The wrong fields, by their dotted path, and what is wrong with them.",
    },
    "created_id": {"type": "string", "description": "What the repeated request had made."},
}
_SCHEMAS: Schema = {
    "Error": {
        "type": "object",
        "required": ["success", "error", "message", "details"],
        "properties": {
            "success": {"const": False},
            "error": {"type": "string", "description": "The code in lower case."},
            "message": {"type": "string", "description": "A sentence for people."},
            "details": {
                "type": "object",
                "required": ["code", "timestamp"],
                "properties": _DETAILS,
            },
        },
    },
    "Problem": {
        "type": "object",
        "description": "RFC 9457 problem details.",
        "required": ["type", "title", "status", "detail", "code", "timestamp"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            **_DETAILS,
        },
    },
}


def _header(description: str, schema: Schema) -> Schema:
    return {"description": description, "schema": schema}


_RATE = "The rate of the key; on answers to requests that show one."
HEADERS: Schema = {
    **{name: _header(_RATE, {"type": "string"}) for name in RATE_HEADERS},
    REPLAY_HEADER: _header("That this repeats an earlier answer.", {"const": "true"}),
    "Retry-After": _header("Seconds to wait.", {"type": "integer", "minimum": 0}),
}

ON_A_REPETITION = {REPLAY_HEADER: {"$ref": f"#/components/headers/{REPLAY_HEADER}"}}
ON_EVERY_ANSWER = {name: {"$ref": f"#/components/headers/{name}"} for name in RATE_HEADERS}
_RETRY_AFTER = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}

_REFERENCE = "#/components/responses/"

_TOO_LONG = "AddressTooLong"
_FROM_THE_WEB_SERVER: Schema = {
    "description": "The address is longer than 8 KiB. The web server says so, before StableQueue.",
    "content": {"text/html": {"schema": {"type": "string"}}},
}

COMPONENTS: Schema = {
    "schemas": _SCHEMAS,
    "securitySchemes": SECURITY_SCHEMES,
    "headers": HEADERS,
}


def error_answers(codes: tuple[str, ...]) -> dict[str, Schema]:
    """Refer to the answers with these codes, by their status. `answers_referred_to` has them."""
    of_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(codes):
        of_status.setdefault(CODES[code].status, []).append(code)
    return {
        str(status): {"$ref": _REFERENCE + ".".join(of_status[status])}
        for status in sorted(of_status)
    } | {"414": {"$ref": _REFERENCE + _TOO_LONG}}


def answers_referred_to(paths: Schema) -> Schema:
    """Describe all error answers that operations refer to, by name: the codes, with dots."""
    names = {
        answer["$ref"].removeprefix(_REFERENCE)
        for methods in paths.values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        if "$ref" in answer
    }
    named = {name: _error_answer(name.split(".")) for name in sorted(names - {_TOO_LONG})}
    return {**named, _TOO_LONG: _FROM_THE_WEB_SERVER}


def _error_answer(codes: list[str]) -> Schema:
    waits = CODES[codes[0]].status in {429, 503}
    return {
        "description": "\n".join(f"- `{code}`: {CODES[code].meaning}" for code in codes),
        "headers": {**ON_EVERY_ANSWER, **(_RETRY_AFTER if waits else {})},
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/Error"}},
            PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}},
        },
    }
