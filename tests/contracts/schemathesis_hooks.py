"""Keeps the made-up requests on this machine, and among things that exist."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

FORGE_PORT = int(os.environ["FORGE_PORT"])
OURS = "Laptop"
"""A server that stays, so that jobs can be submitted and its lists be read."""

SAID_ON_PURPOSE = {"NOT_AVAILABLE_YET", "SERVER_UNAVAILABLE"}
"""Codes of 503 that are an answer, not trouble of ours."""


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Let servers be on this machine only, and jobs be for ours."""
    parts, body = case.path_parameters, case.body
    if case.method != "GET" and parts and parts.get("alias") == OURS:
        parts["alias"] = "Another"
    if not isinstance(body, dict):
        return
    if isinstance(body.get("host"), str):
        body["host"] = "127.0.0.1"
    if isinstance(body.get("apiUrl"), str):
        body["apiUrl"] = f"http://127.0.0.1:{FORGE_PORT}"
    if isinstance(body.get("target_server_alias"), str):
        body["target_server_alias"] = OURS


@schemathesis.check
def nothing_of_ours_is_away(context: Any, response: Any, case: Any) -> None:
    """Fail on a 503 that does not name a refusal, but trouble with the database."""
    if response.status_code == 503:
        assert response.json()["details"]["code"] in SAID_ON_PURPOSE
