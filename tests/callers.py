"""Who calls in tests: key holders, our pages, other pages in somebody's browser."""

from __future__ import annotations

import base64
import json
from typing import Any

from django.http import HttpResponse
from django.test import Client

from apikeys.page_cookie import set_page_cookie
from apikeys.registry import NewKey

OWN_ORIGIN = "http://testserver"
EXTENSION_ORIGIN = "http://localhost:7860"
FOREIGN_ORIGIN = "http://evil.example"


def key_headers(new: NewKey) -> dict[str, str]:
    """Return the two headers of a key holder."""
    return {"X-API-Key": new.api_key.key, "X-API-Secret": new.secret}


def bearer(text: str) -> dict[str, str]:
    """Return an Authorization header that carries `text` in base64."""
    return {"Authorization": "Bearer " + base64.b64encode(text.encode()).decode()}


def our_page() -> Client:
    """Return a browser that shows one of our pages."""
    client = Client()
    response = HttpResponse()
    set_page_cookie(response)
    client.cookies.update(response.cookies)
    return client


def send_json(client: Client, method: str, path: str, body: Any, **headers: str) -> Any:
    """Send `body` as JSON; headers are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.generic(
        method,
        path,
        body if isinstance(body, bytes | str) else json.dumps(body),
        content_type="application/json",
        headers=named,
    )
