"""The API answers as docs/openapi.json says, whatever is asked.

A few cases of every kind are tried here. Thousands take minutes:
`API_CASES=100 ./stablequeue test tests/contracts/test_schemathesis.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apikeys import registry
from stablequeue_project.api.reference.files import OPENAPI
from tests.project.web_process import database_of_this_test, web_process

HERE = Path(__file__).parent
CASES = int(os.environ.get("API_CASES", "2"))
"""Per operation and phase, beside those that cover each value of the document once."""


@pytest.fixture
def running(tmp_path, transactional_db, laptop):
    """A web process on this test's database; its port."""
    environment = {
        "DATABASE_URL": database_of_this_test(),
        "STABLEQUEUE_RATE_LIMIT": "off",
        "STABLEQUEUE_TIME_SCALE": "0.1",
        "STABLEQUEUE_DATA": str(tmp_path / "data"),
    }
    options = ("--config", "python:stablequeue_project.gunicorn_config", "--workers", "1")
    with web_process(tmp_path / "web.log", *options, **environment) as port:
        yield port


@pytest.mark.timeout(3600)
def test_every_answer_is_one_that_is_documented(running, windows, tmp_path):
    new = registry.create(name="schemathesis")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", HERE / "schemathesis.toml"),
        *("run", OPENAPI, "--url", f"http://127.0.0.1:{running}", "--no-color"),
        *("--seed", "1", "--max-examples", CASES, "--generation-database", "none"),
        *("-H", f"X-API-Key: {new.api_key.key}", "-H", f"X-API-Secret: {new.secret}"),
    ]

    outcome = subprocess.run(
        [str(word) for word in command],
        cwd=HERE,
        env=os.environ | {"FORGE_PORT": str(windows.port)},
        capture_output=True,
        text=True,
    )

    (tmp_path / "schemathesis.log").write_text(outcome.stdout)
    log = (tmp_path / "web.log").read_text()
    assert outcome.returncode == 0, f"{outcome.stdout[-20_000:]}\n{outcome.stderr}\n{log[-5_000:]}"
    assert "Traceback" not in log
