"""The guards behind a real gunicorn, with requests no well-behaved client sends.

No request here gets as far as the database.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from tests.callers import EXTENSION_ORIGIN
from tests.project.web_process import web_process

KEYS = "/api/v1/api-keys"


@pytest.fixture(scope="module")
def port(tmp_path_factory) -> Iterator[int]:
    log = tmp_path_factory.mktemp("gunicorn") / "log"
    with web_process(log, "--threads", "4") as number:
        yield number


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
    return "\r\n".join(start).encode("latin-1") + b"\r\n\r\n"


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


def test_a_preflight_of_an_allowed_origin_to_the_queue_is_answered(port):
    asked = [
        f"Origin: {EXTENSION_ORIGIN}",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: x-api-key,x-api-secret,content-type",
    ]

    answer = talk(port, head("OPTIONS", "/api/v1/generate", *asked)).lower()

    assert status(answer) == 200
    assert f"access-control-allow-origin: {EXTENSION_ORIGIN}\r\n".encode() in answer
    assert b"x-api-key" in answer
    assert b"vary: origin" in answer
    assert b"access-control-allow-credentials" not in answer
    assert b"private-network" not in answer


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["X-API-Key: k\xe9y", "X-API-Secret: s"], 401),
        (["X-API-Key: a", "X-API-Key: b", "X-API-Secret: s\xff"], 401),
        (["X-API-Key: " + "k" * 8_000, "X-API-Secret: s"], 401),
        (["X-API-Key: a\0b", "X-API-Secret: s"], 400),
        (["X-API-Key: a\rX-API-Secret: s"], 400),
        (["X-API-Key: a\nb"], 400),
        (["X-API-Key: " + "k" * 10_000], 431),
    ],
)
def test_a_key_of_odd_bytes_or_of_any_length_is_refused(port, lines, expected):
    answer = talk(port, head("GET", "/api/v1/queue/jobs", *lines))

    assert status(answer) == expected


def test_a_key_of_a_megabyte_is_cut_off_and_the_next_caller_served(port):
    with contextlib.suppress(ConnectionError):
        talk(port, head("GET", "/api/v1/queue/jobs", "X-API-Key: " + "k" * 1_000_000))

    assert status(talk(port, head("GET", "/nothing"))) == 404


def test_a_preflight_of_an_allowed_origin_to_our_own_routes_is_refused(port):
    asked = [f"Origin: {EXTENSION_ORIGIN}", "Access-Control-Request-Method: POST"]

    answer = talk(port, head("OPTIONS", KEYS, *asked))

    assert status(answer) == 403
    assert b"access-control" not in answer.lower()
