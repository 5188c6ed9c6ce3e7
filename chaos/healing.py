"""Making everything quiet, and waiting until nothing is under way and all processes run."""

from __future__ import annotations

import signal
import time

import psycopg
import requests

from chaos.stack import Stack
from chaos.steps import failpoints, fleet

_LOOK_EVERY = 0.1
_UNDER_WAY = """
    SELECT (SELECT count(*) FROM jobs_job WHERE status IN ('pending', 'processing')),
           (SELECT count(*) FROM jobs_slot WHERE state <> 'free')
"""


def end_all_faults(stack: Stack) -> None:
    """Mend what steps have broken. What fell over is still on its way back then."""
    failpoints.disarm(stack)
    stack.do_what_is_due(all_of_it=True)
    names = stack.supervisor.names()
    for name in names:
        stack.supervisor.send_all(name, signal.SIGCONT)
    stack.supervisor.release(*names)


def seconds_until_healed(stack: Stack, limit: float) -> float | None:
    """Wait until all jobs ended, all slots are free and all processes run. None if they don't."""
    began = time.monotonic()
    mended = False
    while (waited := time.monotonic() - began) < limit:
        if _is_well(stack):
            if not mended:
                fleet.mend(stack)
                mended = True
            elif _nothing_is_under_way(stack):
                return waited
        time.sleep(_LOOK_EVERY)
    return None


def what_is_missing(stack: Stack) -> str:
    """Say for people why it is not healed."""
    words = [f"not running: {', '.join(stack.supervisor.missing()) or 'none'}"]
    try:
        answer = requests.get(f"{stack.address.url}/status", timeout=3)
        words.append(f"/status {answer.status_code} {answer.text[:200]}")
    except requests.RequestException as error:
        words.append(f"/status {type(error).__name__}")
    for status in ("pending", "processing"):
        words += [
            f"{status} {job['stablequeue_job_id'][:8]} on {job['target_server_alias']}: "
            f"{job['phase']}, {job['reason']}"
            for job in stack.client.jobs(status)[:5]
        ]
    return "; ".join(words)


def _is_well(stack: Stack) -> bool:
    if stack.supervisor.missing():
        return False
    try:
        return requests.get(f"{stack.address.url}/status", timeout=3).status_code == 200
    except requests.RequestException:
        return False


def _nothing_is_under_way(stack: Stack) -> bool:
    try:
        with stack.database() as database:
            row = database.execute(_UNDER_WAY).fetchone()
    except psycopg.Error:
        return False
    return row == (0, 0)
