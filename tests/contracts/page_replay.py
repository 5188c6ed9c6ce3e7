"""A page that answers as one recording of gradio's protocol says."""

from __future__ import annotations

import base64
import json
from typing import Any

from tests.contracts.replay import with_pictures
from tests.servers.recordings import load
from tests.servers.test_forge_page import config

_FIELDS = {
    "txt2img_prompt": "prompt",
    "txt2img_steps": "steps",
    "txt2img_width": "width",
    "txt2img_height": "height",
    "txt2img_seed": "seed",
    "txt2img_sampling": "sampler_name",
    "txt2img_batch_size": "batch_size",
}


class PageReplay:
    """One generation over the page: its join, its stream, the polls about it, its pictures."""

    def __init__(self, name: str) -> None:
        recording = load(name)
        self._joined = recording["join"]["response"]["body"]
        self._events = [event["data"] for event in recording["sse_events"]]
        self._polls = [
            {key: value for key, value in poll.items() if key != "t"}
            for poll in recording["internal_progress_while_running"]
        ]
        sent = recording["join"]["request"]["overrides_by_elem_id_or_position"]
        self.task_id = sent["0"].removeprefix("task(").removesuffix(")")
        self.wish = {_FIELDS[field]: value for field, value in sent.items() if field in _FIELDS}
        if chosen := sent.get("txt2img_override_settings"):
            name = chosen[0].partition(": ")[2]
            self.wish["override_settings"] = {"sd_model_checkpoint": name}

    def answer(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        match path.partition("?")[0]:
            case "/app_id":
                return 200, _json(load("get-app-id")["exchange"]["response"]["body"])
            case "/config":
                return 200, _json(config())
            case "/queue/join":
                return 200, _json(self._joined)
            case "/queue/data":
                lines = (b"data: " + _json(event) + b"\n\n" for event in self._events)
                return 200, b"".join(lines)
            case "/internal/progress":
                return 200, _json(self._polls.pop(0) if len(self._polls) > 1 else self._polls[0])
        if path.startswith("/file="):
            return 200, _picture()
        return 404, b'{"detail":"Not Found"}'


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _picture() -> bytes:
    text = with_pictures({"__base64__": True, "format": "PNG", "size": [64, 64]})
    return base64.b64decode(text)
