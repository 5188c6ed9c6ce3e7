"""Answers a real Forge gave, and how an answer of the simulator is held against one.

Stable values must be equal. Values that change from run to run (times, drawn seeds, the
bytes of pictures) are compared by type; pictures also by format, size and text chunk.
"""

from __future__ import annotations

import base64
import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from PIL import Image

FOLDER = Path(__file__).parent / "forge_recordings"
MODEL_HASHES = {
    "rootrandom_v1.safetensors": "de30aa40deb3866e37c30e25f9d46fa30a89a0c257cf493b0a52b401ab1897ed",
    "Pony/tinyrandom_v1.safetensors": (
        "b4576364af363380d3d24a6f4a262aeb2d6e75205dc24115b0cf8a97867d560a"
    ),
}

CHANGES_FROM_RUN_TO_RUN = {
    "eta",
    "eta_relative",
    "job_timestamp",
    "subseed",
    "all_subseeds",
    "sampling_steps",
    "app_id",
    "free",
    "used",
    "total",
    "records",
    "model_path",
}
CHANGES_DURING_A_RUN = {
    "progress",
    "sampling_step",
    "eta",
    "live_preview",
    "id_live_preview",
    "current_image",
}


def all_names() -> list[str]:
    index = json.loads((FOLDER / "INDEX.json").read_text("utf-8"))
    return [entry["file"].removesuffix(".json") for entry in index["files"]]


def load(name: str, replacements: dict[str, str] | None = None) -> dict[str, Any]:
    text = (FOLDER / f"{name}.json").read_text("utf-8")
    for old, new in (replacements or {}).items():
        text = text.replace(old, new)
    recording: dict[str, Any] = json.loads(text)
    return recording


def exchanges(recording: dict[str, Any]) -> list[dict[str, Any]]:
    single = recording.get("exchange")
    return [single] if single else recording.get("exchanges", recording.get("timeline", []))


def send(url: str, request: dict[str, Any], picture: str) -> requests.Response:
    """Send a recorded request. `picture` (base64) stands where a recorded picture stood."""
    body = request.get("raw_body")
    if "body" in request:
        body = json.dumps(_with_picture(request["body"], picture))
    headers = {"Content-Type": "application/json"}
    with requests.Session() as session:
        prepared = requests.Request(request["method"], url, data=body, headers=headers).prepare()
        prepared.url = url + request["path"]  # as recorded: prepare() would resolve "../" in it
        return session.send(prepared, timeout=30)


def differences(exchange: dict[str, Any], answer: requests.Response, *, running: bool) -> list[str]:
    """What an answer has otherwise than the recorded one; empty if it matches.

    `running` also lets what grows with the steps differ.
    """
    recorded = exchange["response"]
    compare = _Comparison(running=running, excerpt=exchange["request"]["path"].endswith("/options"))
    compare.values("status", recorded["status"], answer.status_code)
    compare.values("content type", recorded["content_type"], answer.headers["Content-Type"])
    if "allow" in recorded["headers"]:
        compare.values("allow", recorded["headers"]["allow"], answer.headers.get("Allow"))
    body = recorded.get("body")
    if body == "(omitted)" or exchange["request"]["method"] == "HEAD":
        return compare.found
    if isinstance(body, dict) and body.get("__binary__"):
        Image.open(io.BytesIO(answer.content)).verify()
        return compare.found
    answered = answer.json()
    if isinstance(body, dict) and "info" in body and "images" in body:
        sent = exchange["request"]["body"]
        drawn = sent.get("seed") in (None, -1)
        info = json.loads(answered.pop("info"))
        expected = recorded.get("body_info_parsed") or json.loads(body["info"])
        body = {key: value for key, value in body.items() if key != "info"}
        compare.values("info", *(_without_seed(it) if drawn else it for it in (expected, info)))
    compare.values("body", body, answered)
    return compare.found


def value_differences(recorded: Any, answered: Any) -> list[str]:
    """What a value has otherwise than the recorded one."""
    compare = _Comparison(running=False, excerpt=False)
    compare.values("value", recorded, answered)
    return compare.found


def eventually(look: Callable[[], list[str]], seconds: float = 10.0) -> list[str]:
    """Look until nothing differs any more, or `seconds` are over; what differed last."""
    deadline = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.003)
    return found


class _Comparison:
    """Walks two values side by side and writes down where they part."""

    def __init__(self, *, running: bool, excerpt: bool) -> None:
        self.found: list[str] = []
        self._changing = CHANGES_FROM_RUN_TO_RUN | (CHANGES_DURING_A_RUN if running else set())
        self._may_be_missing = CHANGES_DURING_A_RUN if running else set[str]()
        self._excerpt = excerpt

    def values(self, where: str, recorded: Any, answered: Any) -> None:
        key = where.rsplit(".", 1)[-1]
        if key in self._may_be_missing and (recorded is None or answered is None):
            return
        if isinstance(recorded, dict) and recorded.get("__base64__"):
            self._picture(where, recorded, answered)
        elif key in self._changing:
            self._types(where, recorded, answered)
        elif isinstance(recorded, dict) and isinstance(answered, dict):
            self._objects(where, recorded, answered)
        elif isinstance(recorded, list) and isinstance(answered, list):
            if len(recorded) != len(answered):
                self._note(where, f"{len(recorded)} items", f"{len(answered)} items")
            for index, pair in enumerate(zip(recorded, answered, strict=False)):
                self.values(f"{where}[{index}]", *pair)
        elif _is_whole_picture(recorded):
            self._picture(where, _described(recorded), answered)
        elif recorded != answered:
            self._note(where, recorded, answered)

    def _objects(self, where: str, recorded: dict[str, Any], answered: dict[str, Any]) -> None:
        missing = recorded.keys() - answered.keys()
        added = set() if self._excerpt else answered.keys() - recorded.keys()
        if missing or added:
            self._note(where, f"keys {sorted(missing)}", f"keys {sorted(added)}")
        for key in recorded.keys() & answered.keys():
            self.values(f"{where}.{key}", recorded[key], answered[key])

    def _types(self, where: str, recorded: Any, answered: Any) -> None:
        numbers = isinstance(recorded, int | float) and isinstance(answered, int | float)
        if not numbers and type(recorded) is not type(answered):
            self._note(where, type(recorded), type(answered))

    def _picture(self, where: str, recorded: dict[str, Any], answered: Any) -> None:
        prefix = recorded.get("prefix", "")
        if not isinstance(answered, str) or not answered.startswith(prefix or answered[:0]):
            self._note(where, "a picture", answered)
            return
        described = _described(answered.removeprefix(prefix))
        for key in ("format", "size"):
            self.values(f"{where}.{key}", recorded[key], described[key])
        if recorded["format"] == "PNG":
            self.values(f"{where}.text", recorded["png_text_keys"], described["png_text_keys"])

    def _note(self, where: str, recorded: Any, answered: Any) -> None:
        self.found.append(f"{where}: recorded {recorded!r}, answered {answered!r}")


def _is_whole_picture(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("iVBORw0KGgo")


def _described(text: str) -> dict[str, Any]:
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    return {
        "format": picture.format,
        "size": list(picture.size),
        "png_text_keys": sorted(picture.info),
    }


def _with_picture(value: Any, picture: str) -> Any:
    if isinstance(value, dict) and value.get("__base64__"):
        return value.get("prefix", "") + picture
    if isinstance(value, dict):
        return {key: _with_picture(item, picture) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_picture(item, picture) for item in value]
    return value


def _without_seed(info: dict[str, Any]) -> dict[str, Any]:
    """Take a drawn seed out of an info, keeping how the seeds of a batch follow each other."""
    seed = info["seed"]
    return {
        **info,
        "seed": 0,
        "all_seeds": [number - seed for number in info["all_seeds"]],
        "infotexts": [re.sub(r"Seed: \d+", "Seed: n", text) for text in info["infotexts"]],
    }
