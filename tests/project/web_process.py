"""A real gunicorn in front of the real application, for what only shows over HTTP."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.db import connection

from stablequeue_project.stack import ports
from stablequeue_project.stack.processes import CHECKOUT
from tests.flows.stack import eventually


@contextlib.contextmanager
def web_process(log: Path, *options: str, **environment: str) -> Iterator[int]:
    """Serve on a free port, which is returned; `environment` is added to ours."""
    port = ports.free_port()
    command = [sys.executable, "-m", "gunicorn", "stablequeue_project.wsgi"]
    command += ["-k", "gthread", "-b", f"127.0.0.1:{port}", *options]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=os.environ | environment, stdout=out, stderr=out
        )
        try:
            eventually(lambda: _accepts(port), seconds=60, what="gunicorn")
            yield port
        finally:
            process.terminate()
            process.wait(20)


def database_of_this_test() -> str:
    """Return what DATABASE_URL must be for a process that shall see the test's rows."""
    name = connection.settings_dict["NAME"]
    return urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False
