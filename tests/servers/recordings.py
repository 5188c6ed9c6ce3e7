"""The recorded answers of a real Forge, as the client would receive them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from servers.forge_refusals import Reply

FOLDER = Path(__file__).parent.parent / "contracts" / "forge_recordings"
ADDRESS = "http://192.168.1.100:7860"

Exchange = tuple[dict[str, Any], dict[str, Any]]


def load(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def exchanges(name: str, path: str = "/") -> list[Exchange]:
    """All request/response pairs of a recording whose path begins with `path`."""
    return [pair for pair in _walk(load(name)) if pair[0]["path"].startswith(path)]


def replies(name: str, path: str = "/") -> list[Reply]:
    return [reply(response) for _, response in exchanges(name, path)]


def reply(response: dict[str, Any]) -> Reply:
    body = json.dumps(_with_pictures(response["body"])).encode()
    return Reply(ADDRESS, response["status"], body)


def picture() -> str:
    """A small whole PNG in base64, drawn by a real Forge."""
    ((_, response),) = exchanges("txt2img-minimal-complete-image")
    return str(response["body"]["images"][0])


def _walk(value: Any) -> Iterator[Exchange]:
    if isinstance(value, dict):
        if "request" in value and "status" in (value.get("response") or {}):
            yield value["request"], value["response"]
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)


def _with_pictures(body: Any) -> Any:
    """Put pictures where the recording kept only their size and hash."""
    if isinstance(body, dict):
        if body.get("__base64__"):
            return picture()
        return {key: _with_pictures(item) for key, item in body.items()}
    return [_with_pictures(item) for item in body] if isinstance(body, list) else body
