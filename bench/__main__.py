"""`./stablequeue bench [--quick] [names]`: measure, and print a table."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from bench import machine
from bench.clock import Clock
from bench.errors import BenchError
from bench.job_list import job_list
from bench.queue_times import dispatch, gap, makespan
from bench.report import Row, table
from bench.stack import Stack, throw_away_stack
from bench.streams import streams
from bench.submits import submits
from stablequeue_project.stack.errors import StackError

SECONDS, QUICK_SECONDS = 290.0, 80.0
"""What a whole run may take, the start of the stack included."""


class Measure(Protocol):
    """One benchmark."""

    def __call__(self, stack: Stack, *, quick: bool) -> list[Row]:
        """Measure and return the lines of the table."""


MEASURES: dict[str, Measure] = {
    "dispatch": dispatch,
    "gap": gap,
    "makespan": makespan,
    "submits": submits,
    "list": job_list,
    "streams": streams,
}


def main(arguments: Sequence[str]) -> int:
    """Measure what `arguments` ask for; return the exit code."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    clock = Clock(QUICK_SECONDS if options.quick else SECONDS)
    _say(machine.describe())
    began = time.monotonic()
    rows: list[Row] = []
    code = 0
    try:
        with throw_away_stack(clock) as stack:
            for name in options.names or MEASURES:
                _say(f"{time.monotonic() - began:5.1f} s  measuring {name}")
                rows += MEASURES[name](stack, quick=options.quick)
    except (BenchError, StackError) as error:
        _say(f"bench: {error}")
        code = 1
    except KeyboardInterrupt:
        code = 130
    _say(f"\n{table(rows)}\n\nIt took {time.monotonic() - began:.0f} s.")
    return code


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./stablequeue bench",
        description="Measure StableQueue on this machine, against simulated Forges.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer jobs: about a minute")
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"only these: {', '.join(MEASURES)}"
    )
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in MEASURES]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    return options


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
