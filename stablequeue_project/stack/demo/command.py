"""The whole stack and two simulated Forges, and a client that sends jobs and watches them."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import requests

from stablequeue_project.stack import environment, folder, keeping, ports, processes
from stablequeue_project.stack.demo import jobs
from stablequeue_project.stack.demo.client import Client
from stablequeue_project.stack.demo.screen import Screen, screen
from stablequeue_project.stack.errors import StackError
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.ports import Address
from stablequeue_project.stack.processes import CHECKOUT, Process

JOBS_SECONDS = 180.0
"""How long all jobs together may take."""
_LOOK_EVERY = 0.25
_ENDED = ("completed", "failed", "cancelled")
# Behind the gate, and stopped only when no worker asks them anything more.
_FORGE_ORDER = 35


def run(arguments: Sequence[str]) -> int:
    """Run the demo until a signal, or with --exit until its jobs ended; return the exit code."""
    options = _options(arguments)
    try:
        succeeded = _run(options)
    except KeyboardInterrupt:
        succeeded = False
    return 1 if options.exit and not succeeded else 0


def _run(options: argparse.Namespace) -> bool:
    """Say whether all pictures are there."""
    address = Address(options.host, options.port)
    environment.load_env_file()
    home = environment.of_its_own(Path(options.data))
    with keeping.owning(home, address, word="demo") as engines:
        forges = _forge_ports(home)
        simulators = [_forge(alias, port, options.seconds) for alias, port in forges.items()]
        everything = [*engines, *processes.table(address), *simulators]
        shown = screen(process.name for process in everything)
        demo = Demo(forges, shown, leaves=options.exit)
        shown.console.say(f"Starting on {home.path}. The first start takes a little longer.")
        try:
            keeping.keep(home, address, everything, shown.console, demo.play)
        finally:
            shown.close()
    return demo.succeeded


class Demo:
    """The story the demo tells, in a thread beside the keeper of its stack."""

    def __init__(self, forges: dict[str, int], shown: Screen, *, leaves: bool) -> None:
        self._forges = forges
        self._screen = shown
        self._say = shown.console.say
        self._leaves = leaves
        self.succeeded = False

    def play(self, stack: keeping.Stack) -> None:
        """Send the jobs and follow them to their end; then stop the stack if that is wished."""
        try:
            if stack.until_ready(patient=not self._leaves):
                self._say(_welcome(stack.address))
                self.succeeded = self._send_and_follow(stack)
        except (StackError, requests.RequestException) as error:
            if not stack.stopping.is_set():
                self._say(f"The demo cannot go on: {error}")
        finally:
            if self._leaves:
                stack.keeper.stop()
        if not self._leaves and not stack.stopping.is_set():
            self._say(f"StableQueue goes on at {stack.address.url} until Ctrl-C.")

    def _send_and_follow(self, stack: keeping.Stack) -> bool:
        with Client(stack.address.url, stack.folder.path / "demo-key.json") as client:
            client.sign_in()
            for alias, port in self._forges.items():
                client.have_server(alias, port=port)
            wanted = jobs.all_jobs()
            ids = [client.submit(job.server, job.parameters) for job in wanted]
            self._say(
                f"{len(ids)} jobs were sent to {len(self._forges)} simulated Forges. "
                f"The logs are in {stack.folder.logs}"
            )
            self._screen.follow([job.title for job in wanted])
            try:
                ended = _Watch(client, ids, self._screen).until_ended(stack)
            finally:
                self._screen.close()
            pictures = [name for job in ended for name in _pictures(job)]
            there = sum(map(client.has_picture, pictures))
        self._say(f"Pictures are kept in: {environment.pictures_folder(stack.folder)}")
        expected = sum(map(jobs.picture_count, wanted))
        if there < expected and not stack.stopping.is_set():
            self._say(f"Only {there} of {expected} pictures are there. See {stack.folder.logs}")
        return there == expected


class _Watch:
    """Looks at jobs until all have ended."""

    def __init__(self, client: Client, ids: Sequence[str], shown: Screen) -> None:
        self._client = client
        self._ids = ids
        self._screen = shown

    def until_ended(self, stack: keeping.Stack) -> list[dict[str, object]]:
        """Return all jobs when they have ended, the stack was stopped or time is up."""
        deadline = time.monotonic() + JOBS_SECONDS
        while True:
            seen = [self._client.job(job_id) for job_id in self._ids]
            for number, job in enumerate(seen):
                self._screen.show(number, job)
            if all(job["status"] in _ENDED for job in seen):
                return seen
            if time.monotonic() > deadline or stack.stopping.wait(_LOOK_EVERY):
                return seen


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./stablequeue demo",
        description="Show StableQueue at work on simulated Forges, until Ctrl-C.",
    )
    ports.add_options(parser)
    parser.add_argument(
        "--data", default=str(CHECKOUT / "data-demo"), help="where everything is kept (./data-demo)"
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=3.0, help="how long a simulated picture takes (3)"
    )
    parser.add_argument(
        "--exit",
        action="store_true",
        help="end when the jobs have: with 0 if all pictures are there, else with 1",
    )
    return parser.parse_args(arguments)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 20:
        raise argparse.ArgumentTypeError("must be a number from 0 to 20")
    return seconds


def _forge_ports(home: DataFolder) -> dict[str, int]:
    """Choose a port for each simulated Forge, the one it had before if that is free."""
    chosen = {}
    for alias, name in jobs.SERVERS.items():
        account = folder.refreshed(home.account(name))
        home.remember(name, account)
        chosen[alias] = account.port
    return chosen


def _forge(alias: str, port: int, seconds: float) -> Process:
    command = (sys.executable, "manage.py", "runforgesim", "--port", str(port), "--name", alias)
    models = ("--models", ",".join(jobs.CHECKPOINTS))
    times = ("--seconds", str(seconds), "--load-seconds", str(seconds / 3))
    return Process(
        jobs.SERVERS[alias], (*command, *models, *times), order=_FORGE_ORDER, stop_seconds=3
    )


def _pictures(job: dict[str, object]) -> list[str]:
    result = job["result_details"]
    return list(result.get("images", [])) if isinstance(result, dict) else []


def _welcome(address: Address) -> str:
    text = f"StableQueue is ready: {address.url}"
    if not address.is_private:
        text += f"\nAnyone on your network can open it: {ports.network_url(address)}"
    return text
