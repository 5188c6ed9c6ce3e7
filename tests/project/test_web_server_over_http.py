"""What gunicorn does with clients that are slow, huge or strange, so that others are served."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys

import pytest
import requests

from stablequeue_project.stack import ports
from stablequeue_project.stack.processes import CHECKOUT
from tests.flows.stack import eventually
from tests.project.test_guards_over_http import head, status, talk
from tests.project.web_process import web_process

CONFIGURED = ("--config", "python:stablequeue_project.gunicorn_config", "--workers", "1")
HASTY = ("-k", "tests.project.hasty_worker.HastyWorker", "--workers", "1", "--threads", "2")


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """The web process as it runs in earnest."""
    with web_process(tmp_path_factory.mktemp("web") / "log", *CONFIGURED) as number:
        yield number


@contextlib.contextmanager
def echo(log, *options):
    """Have gunicorn serve the application that echoes; its process and port."""
    number = ports.free_port()
    command = [sys.executable, "-m", "gunicorn", "tests.project.echo_app:application"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, *options, "-b", f"127.0.0.1:{number}"], cwd=CHECKOUT, stdout=out, stderr=out
        )
        try:
            eventually(lambda: not ports.is_free(number), what="gunicorn")
            yield process, number
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A web process of two threads that waits for half a second; its port."""
    with echo(tmp_path_factory.mktemp("hasty") / "log", *HASTY) as (_, number):
        yield number


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Begun: ",
        head("POST", "/", "Content-Length: 1000") + b"{",
    ],
    ids=["headers", "body"],
)
def test_clients_that_stop_in_the_middle_of_a_request_block_nobody(hasty, begun):
    stalled = [socket.create_connection(("127.0.0.1", hasty), timeout=20) for _ in range(6)]
    for connection in stalled:
        connection.sendall(begun)

    answer = requests.get(f"http://127.0.0.1:{hasty}/", timeout=60)

    assert answer.status_code == 200
    for connection in stalled:
        connection.close()


def test_a_request_in_flight_is_answered_by_a_process_that_was_told_to_stop(tmp_path):
    with (
        echo(tmp_path / "log", *CONFIGURED) as (process, number),
        socket.create_connection(("127.0.0.1", number), timeout=20) as connection,
    ):
        connection.sendall(head("POST", "/", "Content-Length: 4") + b"in")
        # The one before it has been taken up by then.
        requests.get(f"http://127.0.0.1:{number}/", timeout=60)

        process.terminate()
        log = tmp_path / "log"
        eventually(lambda: "Handling signal: term" in log.read_text(), what="its hearing of it")
        connection.sendall(b"fl")

        assert status(connection.recv(65536)) == 200
        assert process.wait(20) == 0


def test_an_answer_may_take_longer_than_a_request(hasty):
    with requests.get(f"http://127.0.0.1:{hasty}/slow", timeout=60) as answer:
        assert answer.text == "." * 30


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["X-Huge: " + "x" * 8200], 431),
        ([f"X-{number}: x" for number in range(101)], 431),
        (["X-Large: " + "x" * 8000], 404),
    ],
)
def test_headers_have_a_limit(port, lines, expected):
    assert status(talk(port, head("GET", "/nothing", *lines))) == expected


def test_an_address_has_a_limit(port):
    assert status(talk(port, head("GET", "/" + "x" * 8200))) == 414


def test_who_asks_before_sending_too_much_is_told_at_once(port):
    asked = ("Content-Type: application/json", "Content-Length: 50000000", "Expect: 100-continue")

    answer = talk(port, head("POST", "/api/v1/generate", *asked))

    final = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert status(final) == 413


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: +5"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["Transfer-Encoding: xchunked"],
        ["Content-Length : 5"],
    ],
)
def test_a_request_whose_end_is_in_doubt_is_refused(port, lines):
    asked = head("POST", "/api/v1/api-keys", "Content-Type: application/json", *lines)

    assert status(talk(port, asked + b"0\r\n\r\n")) in {400, 501}


def test_nothing_hidden_behind_a_request_in_doubt_is_answered(port):
    lines = ("Content-Length: 5", "Transfer-Encoding: chunked")
    asked = head("POST", "/api/v1/api-keys", *lines).replace(b"Connection: close\r\n", b"")

    answer = talk(port, asked + b"0\r\n\r\n" + head("GET", "/nothing"))

    assert b" 404 " not in answer


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PATCH", "BREW", "PROPFIND"])
@pytest.mark.parametrize("path", ["/api/v1/api-keys", "/", "/nothing"])
def test_methods_nobody_needs_do_nothing(port, method, path):
    override = "X-HTTP-Method-Override: GET"

    answer = talk(port, head(method, path, override))

    assert status(answer) in {400, 403, 404, 405}


def test_more_idle_connections_than_threads_keep_nobody_out(port):
    idle = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(120)]

    answer = requests.get(f"http://127.0.0.1:{port}/nothing", timeout=60)

    assert answer.status_code == 404
    for connection in idle:
        connection.close()
