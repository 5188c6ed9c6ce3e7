"""What is answered where no view of ours could: addresses that lead nowhere, and crashes.

Below /api/, and for who asks for problem details, the answer is JSON, elsewhere a line of text.
"""

from __future__ import annotations

import sys

from django.http import HttpRequest, HttpResponse

from stablequeue_project.api.envelope import refusal, wants_problem_details
from stablequeue_project.api.exception_handler import Problem, log_problem, problem_of


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address nothing is at."""
    return _answer(request, Problem("NOT_FOUND", "There is nothing at this address."))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer what is not allowed."""
    return _answer(request, Problem("FORBIDDEN", "This is not allowed."))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that Django itself could not read."""
    problem = problem_of(exception)
    if problem.status >= 500:
        problem = Problem("VALIDATION_FAILED", "The request can't be understood.")
    return _answer(request, problem)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a crash outside of the REST views; Django calls this while the error is handled."""
    error = sys.exc_info()[1]
    problem = problem_of(error)
    log_problem(problem, error, request)
    return _answer(request, problem)


def _answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    if request.path_info.startswith("/api/") or wants_problem_details(request):
        response: HttpResponse = refusal(request, problem.code, problem.message)
    else:
        text = f"{problem.message}\n"
        response = HttpResponse(text, status=problem.status, content_type="text/plain")
    for name, value in problem.headers.items():
        response[name] = value
    return response
