"""Which answer an exception becomes. The only place that knows errors and HTTP both."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg_pool
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError, InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from stablequeue_project.api.codes import CODES
from stablequeue_project.api.domain_errors import DOMAIN_ERRORS
from stablequeue_project.api.envelope import Fields, error_body
from stablequeue_project.api.field_errors import flattened, summary
from stablequeue_project.log_lines import one_line

logger = logging.getLogger(__name__)

DATABASE_AWAY = (OperationalError, InterfaceError, psycopg_pool.PoolTimeout)
_RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True)
class Problem:
    """What a client is told about an exception."""

    code: str
    message: str
    fields: Fields | None = None
    headers: dict[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return CODES[self.code].status


def handle(error: Exception, context: dict[str, Any]) -> Response:
    """Answer `error` in the standard shape; log with a traceback what nobody foresaw."""
    set_rollback()
    request = context["request"]
    problem = problem_of(error)
    log_problem(problem, error, request)
    body, content_type = error_body(
        request, problem.code, problem.message, problem.fields, **problem.details
    )
    headers = {"Vary": "Accept", **problem.headers}
    return Response(body, status=problem.status, headers=headers, content_type=content_type)


def problem_of(error: BaseException | None) -> Problem:
    """Translate `error`; what is not known here is an internal error that tells nothing."""
    if isinstance(error, DOMAIN_ERRORS):
        code = getattr(error, "code", "INTERNAL_ERROR")
        details = getattr(error, "details", {})
        wait = getattr(error, "retry_after", None)
        headers = {} if wait is None else {"Retry-After": str(wait)}
        return Problem(code, str(error), getattr(error, "fields", None), headers, details)
    if isinstance(error, drf.APIException):
        return _of_drf(error)
    if isinstance(error, DATABASE_AWAY):
        return Problem(
            "DATABASE_UNAVAILABLE",
            "The database is not available. Nothing was stored; try again in a moment.",
            headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
        )
    return _of_django(error)


def log_problem(problem: Problem, error: BaseException | None, request: Any) -> None:
    """Write one line if the fault is ours, with the traceback if it is a surprise."""
    foreseen = problem.status < 500 or isinstance(error, DOMAIN_ERRORS)
    if foreseen and not isinstance(error, DataError):
        return
    asked = one_line(f"{request.method} {request.path}") if request is not None else "a request"
    if problem.code == "DATABASE_UNAVAILABLE":
        logger.warning("%s: database not available: %s", asked, one_line(str(error)))
    else:
        logger.error("%s failed", asked, exc_info=error)


def _of_drf(error: drf.APIException) -> Problem:
    if isinstance(error, drf.ValidationError):
        fields = flattened(error.detail)
        return Problem("VALIDATION_FAILED", summary(fields), fields)
    headers = {}
    if authenticate := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = authenticate
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    for kind, code in _CODE_OF_DRF.items():
        if isinstance(error, kind):
            return Problem(code, str(error.detail), headers=headers)
    return _INTERNAL


def _of_django(error: BaseException | None) -> Problem:
    if isinstance(error, DjangoValidationError):
        fields = flattened(getattr(error, "message_dict", error.messages))
        return Problem("VALIDATION_FAILED", summary(fields), fields)
    for kind, problem in _PROBLEM_OF_DJANGO.items():
        if isinstance(error, kind):
            return problem
    return _INTERNAL


_CODE_OF_DRF: dict[type[drf.APIException], str] = {
    drf.ParseError: "BROKEN_JSON",
    drf.AuthenticationFailed: "UNAUTHORIZED",
    drf.NotAuthenticated: "UNAUTHORIZED",
    drf.PermissionDenied: "FORBIDDEN",
    drf.NotFound: "NOT_FOUND",
    drf.MethodNotAllowed: "METHOD_NOT_ALLOWED",
    drf.UnsupportedMediaType: "NOT_JSON",
    drf.Throttled: "RATE_LIMITED",
}

_PROBLEM_OF_DJANGO: dict[type[Exception], Problem] = {
    Http404: Problem("NOT_FOUND", "There is nothing at this address."),
    PermissionDenied: Problem("FORBIDDEN", "This is not allowed."),
    RequestDataTooBig: Problem("BODY_TOO_LARGE", "The body is too large."),
    UnreadablePostError: Problem("BROKEN_JSON", "The body ended before its announced length."),
    DataError: Problem("VALIDATION_FAILED", "A value can't be stored as it is."),
}

_INTERNAL = Problem("INTERNAL_ERROR", "StableQueue failed at this. Its log says how.")
