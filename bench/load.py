"""Sending one request as often as it is answered, over many connections and processes."""

from __future__ import annotations

import json
import multiprocessing
import re
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from bench.errors import BenchError

_PROCESSES = 4
_ANSWER_SECONDS = 30
_UNTIL_ALL_CONNECTED = 0.5


@dataclass(frozen=True)
class Load:
    """One request, and how it is sent."""

    host: str
    port: int
    request: bytes
    clients: int
    seconds: float
    starts_at: float = 0.0
    """On the machine's monotonic clock, which all processes share."""


def post(path: str, body: Any, headers: Mapping[str, str]) -> bytes:
    """Return a whole POST request, ready to be sent again and again."""
    content = json.dumps(body).encode()
    fields = {"Host": "127.0.0.1", **headers, "Content-Length": str(len(content))}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + content


class Senders:
    """Processes that send, kept from one measurement to the next."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(_PROCESSES, mp_context=context)
        # Each has to be there before the clock of the first measurement runs.
        list(self._pool.map(time.sleep, [0.2] * _PROCESSES))

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def send(self, load: Load) -> list[float]:
        """Send for `load.seconds`; return how many seconds each answer took.

        Raises BenchError when one is not 202.
        """
        shares = [
            load.clients // _PROCESSES + (number < load.clients % _PROCESSES)
            for number in range(min(_PROCESSES, load.clients))
        ]
        starts_at = time.monotonic() + _UNTIL_ALL_CONNECTED
        loads = [replace(load, clients=share, starts_at=starts_at) for share in shares]
        return [took for times in self._pool.map(_send_from_here, loads) for took in times]


def _send_from_here(load: Load) -> list[float]:
    times: list[float] = []
    refused: list[str] = []

    def client() -> None:
        try:
            times.extend(_send(load))
        except (OSError, BenchError) as error:
            refused.append(str(error))

    threads = [threading.Thread(target=client) for _ in range(load.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refused:
        raise BenchError(refused[0])
    return times


def _send(load: Load) -> list[float]:
    times = []
    with socket.create_connection((load.host, load.port), _ANSWER_SECONDS) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The first answer on a connection pays for things the others find done.
        _exchange(line, load.request)
        time.sleep(max(0.0, load.starts_at - time.monotonic()))
        ends = load.starts_at + load.seconds
        while (began := time.monotonic()) < ends:
            _exchange(line, load.request)
            times.append(time.monotonic() - began)
    return times


def _exchange(line: socket.socket, request: bytes) -> None:
    line.sendall(request)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _received(line)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 202"):
        raise BenchError(f"A submit was answered with {answer[:300]!r}")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    if length is None:
        raise BenchError("An answer does not say how long it is.")
    missing = int(length[1]) - len(body)
    while missing > 0:
        missing -= len(_received(line))


def _received(line: socket.socket) -> bytes:
    piece = line.recv(65536)
    if not piece:
        raise BenchError("The connection was closed in the middle of an answer.")
    return piece
