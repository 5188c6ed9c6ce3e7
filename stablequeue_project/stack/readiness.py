"""When is the stack ready? When its own /status says so."""

from __future__ import annotations

import http.client
import threading
import time

from stablequeue_project.stack.ports import Address

READY_SECONDS = 120
_ANSWER_BYTES = 2_000


def wait_until_ready(address: Address, stopped: threading.Event, seconds: float) -> str | None:
    """Return None once GET /status answers 200, else the last reason why it did not.

    Gives up after `seconds`, or as soon as `stopped` is set.
    """
    deadline = time.monotonic() + seconds
    pause = 0.1
    while (reason := _ask(address)) and time.monotonic() < deadline:
        if stopped.wait(pause):
            break
        # Each question that finds the stack not ready leaves a line in its log.
        pause = min(pause * 1.5, 1.0)
    return reason


def _ask(address: Address) -> str | None:
    connection = http.client.HTTPConnection(address.local_host, address.port, timeout=5)
    try:
        connection.request("GET", "/status")
        answer = connection.getresponse()
        text = answer.read(_ANSWER_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{address.url}/status does not answer ({error})"
    finally:
        connection.close()
    return None if answer.status == 200 else f"{address.url}/status answers {answer.status}: {text}"
