"""gunicorn with our configuration, serving a small application."""

import subprocess
import sys

import pytest
import requests

from stablequeue_project.stack import ports
from stablequeue_project.stack.processes import CHECKOUT
from tests.project.stack_runs import until


@pytest.fixture
def served(tmp_path):
    """Yield (url, log) of a running gunicorn."""
    address = ports.Address("127.0.0.1", ports.free_port())
    log = tmp_path / "log"
    command = [sys.executable, "-m", "gunicorn", "tests.project.echo_app:application"]
    command += ["--config", "python:stablequeue_project.gunicorn_config", "--bind", address.bind]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdout=out, stderr=out)
    until(lambda: not ports.is_free(address.port), log.read_text)
    yield address.url, log
    process.terminate()
    process.wait(timeout=20)


def test_forwarded_headers_of_a_stranger_change_nothing(served):
    url, _ = served
    lies = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "8.8.8.8", "Forwarded": "for=8.8.8.8"}

    assert requests.get(url, headers=lies, timeout=10).text == "http 127.0.0.1"


def test_only_failures_are_logged_and_never_the_query(served):
    url, log = served

    requests.get(f"{url}/fine", timeout=10)
    requests.get(f"{url}/fail?token=secret", timeout=10)

    until(lambda: "GET /fail answered 500" in log.read_text(), log.read_text)
    assert "/fine" not in log.read_text()
    assert "secret" not in log.read_text()
