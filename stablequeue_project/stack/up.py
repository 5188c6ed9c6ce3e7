"""`./stablequeue up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable, Sequence

from stablequeue_project.stack import engines, environment, orphans, ports, processes
from stablequeue_project.stack.console import Console
from stablequeue_project.stack.errors import StackError
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.ports import Address
from stablequeue_project.stack.processes import Process
from stablequeue_project.stack.readiness import READY_SECONDS, wait_until_ready
from stablequeue_project.stack.supervisor import Keeper

Table = Callable[[Address], Sequence[Process]]


def run(arguments: Sequence[str], table: Table = processes.table) -> int:
    """Run engines and the processes of `table` until a signal; return the exit code."""
    options = _options(arguments)
    address = Address(options.host, options.port)
    environment.load_env_file()
    folder = environment.data_folder(options.data)
    folder.prepare()
    with folder.owned("up"):
        ours = engines.embedded(folder)
        engines.prepare(folder, ours)
        ports.require_free(address)
        engines.announce(ours)
        os.environ[orphans.MARK] = str(folder.path)
        return _keep(folder, address, [*(engine.process() for engine in ours), *table(address)])


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./stablequeue up", description="Run StableQueue on this machine until Ctrl-C."
    )
    parser.add_argument("--port", type=_port, default=8083, help="where the page and API answer")
    parser.add_argument("--host", default=ports.LOOPBACK, help="0.0.0.0 opens it to the network")
    parser.add_argument("--data", help="where everything is kept (./data)")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port number from 1 to 65535")
    return int(text)


def _keep(folder: DataFolder, address: Address, everything: Sequence[Process]) -> int:
    console = Console(process.name for process in everything)
    console.say(f"Starting on {folder.path}. The first start takes a little longer.")
    stopped = threading.Event()
    try:
        keeper = Keeper(folder, everything, console)
        watcher = threading.Thread(
            target=_announce, args=(folder, address, keeper, console, stopped), daemon=True
        )
        watcher.start()
        keeper.keep()
        stopped.set()
        console.say("Stopped.")
    finally:
        console.close()
    if keeper.gave_up_on:
        raise StackError(
            "SETTINGS_UNUSABLE",
            f"A setting is wrong: see the last line of {keeper.gave_up_on} above, "
            "and .env.example for all settings.",
        )
    return 0


def _announce(
    folder: DataFolder,
    address: Address,
    keeper: Keeper,
    console: Console,
    stopped: threading.Event,
) -> None:
    """Say when the stack is ready and where; if that takes too long, what is missing."""
    reason = wait_until_ready(address, stopped, READY_SECONDS)
    if reason and not stopped.is_set():
        missing = ", ".join(keeper.unfinished()) or "none of the processes"
        console.say(
            f"Not ready after {READY_SECONDS} s. Missing: {missing}. {reason}\n"
            f"The logs are in {folder.logs}. Still trying."
        )
        reason = wait_until_ready(address, stopped, seconds=float("inf"))
    if not reason:
        console.say(_welcome(folder, address))


def _welcome(folder: DataFolder, address: Address) -> str:
    lines = [
        f"StableQueue is ready: {address.url}",
        f"Pictures are kept in: {environment.pictures_folder(folder)}",
    ]
    if address.is_private:
        lines.append(
            "Only this machine can open it. For your network: ./stablequeue up --host 0.0.0.0"
        )
    else:
        host = ports.network_host() or "this machine's address"
        lines.append(f"Anyone on your network can open it: http://{host}:{address.port}")
    return "\n".join([*lines, "Ctrl-C stops everything."])
