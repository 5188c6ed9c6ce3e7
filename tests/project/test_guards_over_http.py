"""The guards behind a real gunicorn, with requests no well-behaved client sends.

No request here gets as far as the database.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.callers import EXTENSION_ORIGIN

ROOT = Path(__file__).resolve().parents[2]
KEYS = "/api/v1/api-keys"


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("gunicorn") / "log").open("wb")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "gunicorn", "-k", "gthread", "--threads", "4"),
            *("-b", f"127.0.0.1:{number}", "stablequeue_project.wsgi"),
        ],
        cwd=ROOT,
        env=os.environ,
        stdout=log,
        stderr=log,
    )
    try:
        _wait_for(number)
        yield number
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def _wait_for(number: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", number), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def talk(port: int, request: bytes) -> bytes:
    """Send raw bytes and return the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def head(method: str, path: str, *lines: str, host: str = "127.0.0.1") -> bytes:
    start = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *lines]
    return "\r\n".join(start).encode() + b"\r\n\r\n"


def chunked(*chunks: bytes) -> bytes:
    sent = head("POST", KEYS, "Content-Type: application/json", "Transfer-Encoding: chunked")
    for chunk in (*chunks, b""):
        sent += f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"
    return sent


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def test_a_chunked_body_is_read_as_any_other(port):
    answer = talk(port, chunked(b'{"na', b'me": ""}'))

    assert status(answer) == 400
    assert b'"fields":{"name":["This field may not be blank."]}' in answer


def test_a_chunked_body_over_the_limit_is_refused_while_it_is_read(port):
    answer = talk(port, chunked(*[b" " * 1_048_576] * 33))

    assert status(answer) == 413
    assert b"body_too_large" in answer


def test_a_chunked_body_that_breaks_off_is_refused(port):
    whole = chunked(b'{"name": "x"}')

    assert status(talk(port, whole[:-8])) == 400


@pytest.mark.parametrize(
    "hosts",
    [
        ["Host: evil.example"],
        ["Host: nas.local", "Host: evil.example"],
        ["Host: evil.example", "Host: nas.local"],
        ["Host:"],
        ["Host: nas.local@evil.example"],
    ],
)
def test_hosts_that_are_not_ours_get_nothing(port, hosts):
    lines = ["GET / HTTP/1.1", *hosts, "X-Forwarded-Host: nas.local", "Connection: close"]

    answer = talk(port, "\r\n".join(lines).encode() + b"\r\n\r\n")

    assert status(answer) == 400


def test_an_address_of_the_home_network_gets_through_to_routing(port):
    assert status(talk(port, head("GET", "/nothing", host="192.168.1.20:8083"))) == 404


def test_length_and_chunks_at_once_are_refused(port):
    both = head("POST", KEYS, "Content-Length: 5", "Transfer-Encoding: chunked")

    assert status(talk(port, both + b"0\r\n\r\n")) == 400


def test_a_preflight_of_an_allowed_origin_to_our_own_routes_is_refused(port):
    asked = [f"Origin: {EXTENSION_ORIGIN}", "Access-Control-Request-Method: POST"]

    answer = talk(port, head("OPTIONS", KEYS, *asked))

    assert status(answer) == 403
    assert b"access-control" not in answer.lower()
