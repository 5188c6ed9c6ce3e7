"""`./stablequeue chaos`: break a StableQueue by a seed, and say whether it kept its promise."""

from __future__ import annotations

import argparse
import math
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from chaos import plan
from chaos.campaign import Campaign
from chaos.errors import ChaosError
from chaos.plan import Round
from chaos.report import Report
from chaos.stack import KEEP_MARK, Stack, throw_away_stack
from chaos.steps import STEPS
from chaos.steps.failpoints import ACTIONS
from stablequeue_project.stack.errors import StackError

_REPORT = "report.json"
_MINUTES = 5.0


def main(arguments: Sequence[str]) -> int:
    """Run what `arguments` ask for; return 0 if nothing was found and 1 if something was."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # The same for every process started from here: how long their work may pile up.
    os.environ["DJANGO_SETTINGS_MODULE"] = "stablequeue_project.settings"
    report = Report(options.seed)
    _say(f"seed {options.seed}")
    began = time.monotonic()
    try:
        with throw_away_stack(options.keep) as stack:
            try:
                _say(f"running in {stack.path} after {time.monotonic() - began:.1f} s")
                _play(stack, report, options)
            finally:
                report.write(options.report or stack.path / _REPORT)
                if report.findings or sys.exc_info()[0] not in (None, KeyboardInterrupt):
                    (stack.path / KEEP_MARK).touch()
                    _say(f"The logs are kept in {stack.path}.")
    except (ChaosError, StackError) as error:
        _say(f"chaos: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    _say(report.summary())
    return 1 if report.findings else 0


def _play(stack: Stack, report: Report, options: argparse.Namespace) -> None:
    ends = math.inf if _rounds_are_counted(options) else time.monotonic() + options.minutes * 60
    Campaign(stack, report, _say).play(_rounds(options), ends)


def _rounds(options: argparse.Namespace) -> Iterator[Round]:
    if _rounds_are_counted(options):
        return plan.counted(options.seed, options.failpoints, options.steps)
    return plan.endless(options.seed, list(STEPS))


def _rounds_are_counted(options: argparse.Namespace) -> bool:
    return bool(options.failpoints or options.steps)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./stablequeue chaos",
        description="Break a StableQueue of its own by a seed, and check that it loses nothing "
        "and draws nothing twice.",
    )
    parser.add_argument("--minutes", type=float, default=_MINUTES, help="how long (default 5)")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(10**6), help="the plan follows from it"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep everything in DIR")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the report there")
    parser.add_argument(
        "--coverage",
        dest="failpoints",
        action="store_const",
        const=list(ACTIONS),
        default=[],
        help="every failpoint with every action, once",
    )
    parser.add_argument(
        "--failpoints",
        action="append",
        choices=ACTIONS,
        help="every failpoint with this action, once",
    )
    parser.add_argument("steps", nargs="*", metavar="step", help="only these, a round for each")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.steps if name not in STEPS]:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(STEPS)}")
    return options


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
