"""A bare client of Forge's page, and how what it hears is held against a recording."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import requests

from servers.simulator import ForgeSimulator
from tests.contracts import recordings

_PASSES = [
    (re.compile(r"http://127\.0\.0\.1:\d+"), "http://here"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<day>"),
    (re.compile(r"/\d{5}-"), "/<number>-"),
    (re.compile(r"grid-\d{4}"), "grid-<number>"),
    (re.compile(r"/tmp\w+\.png"), "/tmp<letters>.png"),
    (re.compile(r"\d+\.\d sec\."), "<time> sec."),
]
"""What differs in texts from run to run."""


class PageClient:
    """One session of a page."""

    def __init__(self, forge: ForgeSimulator) -> None:
        self.url = forge.url
        self.session_hash = uuid4().hex[:10]
        self._http = requests.Session()
        self.config: dict[str, Any] = self._http.get(f"{self.url}/config", timeout=10).json()
        self._components = {it["id"]: it for it in self.config["components"]}

    def function(self, api_name: str) -> dict[str, Any]:
        found = [it for it in self.config["dependencies"] if it["api_name"] == api_name]
        assert len(found) == 1, f"{len(found)} functions are called {api_name}"
        return dict(found[0])

    def data(self, wanted: dict[str, Any]) -> list[Any]:
        """The page's own values, but those in `wanted`, by elem_id or (the task id) by "0"."""
        values = []
        for number in self.function("txt2img")["inputs"]:
            component = self._components[number]
            elem_id = component["props"].get("elem_id")
            own = None if component["type"] == "state" else component["props"].get("value")
            values.append(wanted.get(elem_id, own))
        values[0] = wanted.get("0")
        return values

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        return self._http.post(self.url + path, json=body, timeout=30)

    def join(self, api_name: str, data: list[Any]) -> requests.Response:
        body = {"data": data, "fn_index": self.function(api_name)["id"]}
        return self.post("/queue/join", {**body, "session_hash": self.session_hash})

    def open(self) -> requests.Response:
        """Open the stream of this session."""
        path = f"{self.url}/queue/data?session_hash={self.session_hash}"
        return self._http.get(path, stream=True, timeout=30)

    def hear(self) -> list[dict[str, Any]]:
        """Everything up to the end of the stream."""
        with self.open() as stream:
            return list(messages(stream))

    def call(self, api_name: str, data: list[Any]) -> list[dict[str, Any]]:
        assert self.join(api_name, data).status_code == 200
        return self.hear()

    def draw(self, task_id: str, **wanted: Any) -> list[dict[str, Any]]:
        return self.call("txt2img", self.data({**A_CAT, "0": task_id, **wanted}))

    def start(self, task_id: str, **wanted: Any) -> None:
        """Join without listening."""
        data = self.data({**A_CAT, "0": task_id, **wanted})
        assert self.join("txt2img", data).status_code == 200


A_CAT = {
    "txt2img_prompt": "a cat",
    "txt2img_steps": 2,
    "txt2img_width": 64,
    "txt2img_height": 64,
    "txt2img_seed": 5,
    "txt2img_sampling": "Euler",
}


def messages(stream: requests.Response) -> Iterator[dict[str, Any]]:
    """What a stream says, until the other side closes it."""
    for line in stream.iter_lines():
        if line:
            kind, _, text = line.partition(b": ")
            assert kind == b"data", line
            yield json.loads(text)


def heard_later(client: PageClient) -> tuple[threading.Thread, list[dict[str, Any]]]:
    """Listen beside; the list is filled as things happen."""
    heard: list[dict[str, Any]] = []
    stream = client.open()
    thread = threading.Thread(target=lambda: heard.extend(messages(stream)))
    thread.start()
    return thread, heard


def message_differences(recorded: list[dict[str, Any]], heard: list[dict[str, Any]]) -> list[str]:
    """What was heard otherwise than in a recorded stream. Heartbeats do not count."""
    expected = [it["data"] for it in recorded if it["data"]["msg"] != "heartbeat"]
    heard = [it for it in heard if it["msg"] != "heartbeat"]
    kinds = [it["msg"] for it in expected], [it["msg"] for it in heard]
    if kinds[0] != kinds[1]:
        return [f"recorded {kinds[0]}, heard {kinds[1]}"]
    both = [[_plain(it) for it in side] for side in (expected, heard)]
    return recordings.value_differences(*both)


def output_differences(recorded: list[Any], output: list[Any]) -> list[str]:
    """The same for the values of a function's outputs."""
    return recordings.value_differences(_plain_output(recorded), _plain_output(output))


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    plain = {**message}
    if plain.get("event_id"):
        plain["event_id"] = "<id>"
    for key in ("rank_eta", "eta"):
        if plain.get(key) is not None:
            plain[key] = None
    if output := plain.get("output"):
        plain["output"] = {
            key: "<seconds>" if key.endswith("duration") else value for key, value in output.items()
        }
        if "data" in output:
            plain["output"]["data"] = _plain_output(output["data"])
    return plain


def _plain_output(output: list[Any]) -> list[Any]:
    """Outputs of txt2img: gallery, info, infotext, log."""
    if len(output) != 4:
        return output
    gallery, info, *texts = output
    return [
        json.loads(_plain_text(json.dumps(gallery))),
        json.loads(info) if info else info,
        *map(_plain_text, texts),
    ]


def _plain_text(text: str) -> str:
    for pattern, word in _PASSES:
        text = pattern.sub(word, text)
    return text
