"""Reading what Forge's page answers: the stream of a session, and the output of a drawing.

Nothing here talks to anybody.
"""

from __future__ import annotations

import html
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Any

from servers.foreign_data import one_line, parse_json, tame
from servers.forge_errors import ForgeBadReply, ForgeConnectionLost
from servers.forge_refusals import Reply, failure_in_a_run, require_answer
from servers.forge_replies import read_info

SILENCE = 60.0
"""Seconds. The page sends a heartbeat every 15."""

_ERROR = re.compile(r"<div class='error'>(.*?)</div>", re.DOTALL)
_TEMPORARY = re.compile(r"tmp[a-z0-9_]{8}\.\w+")
"""What Python calls a temporary file."""


@dataclass(frozen=True)
class Output:
    """What a drawing left: where its pictures lie on that machine, and what is said of them."""

    paths: tuple[str, ...]
    info: dict[str, Any]

    @property
    def is_half_drawn(self) -> bool:
        """Whether a picture was not saved among the others: Forge saves none it was told to stop.

        Only where that Forge saves its pictures at all.
        """
        return any(_TEMPORARY.fullmatch(PureWindowsPath(path).name) for path in self.paths)


class Stream:
    """The events of one session, as they come in. One thread feeds it, others look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rest = b""
        self._heard_at = time.monotonic()
        self._begun = False

    def feed(self, received: bytes) -> None:
        """Take in some more of the stream."""
        with self._lock:
            self._heard_at = time.monotonic()
            *lines, self._rest = (self._rest + received).split(b"\n")
            self._begun = self._begun or any(b'"process_starts"' in line for line in lines)

    @property
    def waits(self) -> bool:
        """Whether the page keeps our job in its own queue, as far as is known."""
        with self._lock:
            return not self._begun and time.monotonic() - self._heard_at < SILENCE


def read_joined(reply: Reply) -> str:
    """Read the id of what has joined the page's queue."""
    require_answer(reply)
    said = _json(reply.address, reply.body)
    event_id = said.get("event_id") if isinstance(said, dict) else None
    if not isinstance(event_id, str):
        raise ForgeBadReply(f"{reply.address} took our job, and does not say under which id.")
    return event_id


def read_stream(reply: Reply, event_id: str) -> list[Any]:
    """Read the whole stream of a session: the output data of the event.

    Raises ForgeConnectionLost if the event's end is not in it, ForgeBadReply if the page did
    not take the form.
    """
    require_answer(reply)
    for line in reply.body.split(b"\n"):
        if not line.startswith(b"data:"):
            continue
        event = _json(reply.address, line.removeprefix(b"data:"))
        if not isinstance(event, dict) or event.get("event_id") != event_id:
            continue
        if event.get("msg") == "process_completed":
            return _data(reply.address, event)
    raise ForgeConnectionLost(f"{reply.address} ended its stream before our job was done.")


def read_output(address: str, data: list[Any]) -> Output:
    """Read what txt2img, or the page's restoring of it, put out.

    Raises the error of the run, or ForgeBadReply for a result that is no longer there.
    """
    gallery, info, log = data[0], data[1], data[3]
    if found := _ERROR.search(log if isinstance(log, str) else ""):
        error_class, _, reason = html.unescape(found[1]).partition(":")
        raise failure_in_a_run(address, one_line(error_class), one_line(reason))
    if not isinstance(gallery, list):
        raise ForgeBadReply(f"{address} has not kept the result of this task.")
    return Output(tuple(_path(address, item) for item in gallery), read_info(address, info))


def _data(address: str, event: Mapping[str, Any]) -> list[Any]:
    output = event.get("output")
    data = output.get("data") if isinstance(output, dict) else None
    if event.get("success") is not True or not isinstance(data, list):
        said = output.get("error") if isinstance(output, dict) else None
        raise ForgeBadReply(
            f"{address} did not take the form of its page: {one_line(said or 'no reason given')}"
        )
    return data


def _path(address: str, item: object) -> str:
    """Where a picture of the gallery lies. Its `url` names a host that may be unknown here."""
    image = item.get("image") if isinstance(item, dict) else None
    path = image.get("path") if isinstance(image, dict) else None
    if not isinstance(path, str) or not path or len(path) > 4096:
        raise ForgeBadReply(f"{address} shows a picture and does not say where it is.")
    return path


def _json(address: str, text: bytes) -> Any:
    try:
        return tame(parse_json(text))
    except ValueError as error:
        raise ForgeBadReply(f"{address} answered with JSON that cannot be read.") from error
