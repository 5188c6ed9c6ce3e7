"""How many jobs a second are accepted, beside a bare view on the same machine and engines."""

from __future__ import annotations

import contextlib
import time

from bench import api, load
from bench.api import Api
from bench.bare import tables
from bench.load import Load, Senders
from bench.report import Row
from bench.stack import Stack
from stablequeue_project.stack import ports

_CLIENTS = (1, 8, 32)
_BATCH = 1000


def submits(stack: Stack, *, quick: bool) -> list[Row]:
    """Accepting only: the server is away, so nothing is drawn meanwhile."""
    alias = "Away"
    stack.add_server(alias, ports.free_port())
    with stack.database() as database:
        database.execute(tables.CREATE)
    seconds = 0.7 if quick else 4.0
    rows = []
    with contextlib.closing(stack.start_bare_view()) as bare, contextlib.closing(Senders()) as all_:
        stack.wait_until_away(alias)
        for clients in _CLIENTS:
            ours = all_.send(_load(stack.api, alias, clients, seconds))
            theirs = all_.send(_load(bare, alias, clients, seconds))
            noun = "client" if clients == 1 else "clients"
            rows += [
                Row(
                    f"submits, {clients} {noun}",
                    ours,
                    f"{len(ours) / seconds:.0f} /s",
                    f"{len(theirs) / seconds:.0f} /s",
                    len(ours) / len(theirs),
                ),
                Row("  the bare view", theirs, f"{len(theirs) / seconds:.0f} /s"),
            ]
    return [*rows, _bulk(stack, alias, count=3 if quick else 10)]


def _bulk(stack: Stack, alias: str, *, count: int) -> Row:
    """Batches of as many jobs as one request may bring, one request after the other."""
    body = {**api.job(alias), "bulk_quantity": _BATCH}
    times = []
    for _ in range(count):
        began = time.monotonic()
        stack.api.call("POST", "/api/v1/generate/bulk", body)
        times.append(time.monotonic() - began)
    return Row(f"batches of {_BATCH} jobs", times, f"{count * _BATCH / sum(times):.0f} /s")


def _load(target: Api, alias: str, clients: int, seconds: float) -> Load:
    request = load.post("/api/v1/generate", api.job(alias), target.headers)
    return Load(target.host, target.port, request, clients, seconds)
