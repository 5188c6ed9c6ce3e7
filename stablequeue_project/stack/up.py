"""`./stablequeue up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from stablequeue_project.stack import environment, keeping, ports, processes
from stablequeue_project.stack.console import Console
from stablequeue_project.stack.ports import Address
from stablequeue_project.stack.processes import Process

Table = Callable[[Address], Sequence[Process]]


def run(arguments: Sequence[str], table: Table = processes.table) -> int:
    """Run engines and the processes of `table` until a signal; return the exit code."""
    options = _options(arguments)
    address = Address(options.host, options.port)
    environment.load_env_file()
    folder = environment.data_folder(options.data)
    with keeping.owning(folder, address, word="up") as engines:
        everything = [*engines, *table(address)]
        console = Console(process.name for process in everything)
        console.say(f"Starting on {folder.path}. The first start takes a little longer.")
        keeping.keep(folder, address, everything, console, _announce)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./stablequeue up", description="Run StableQueue on this machine until Ctrl-C."
    )
    ports.add_options(parser)
    parser.add_argument("--data", help="where everything is kept (./data)")
    return parser.parse_args(arguments)


def _announce(stack: keeping.Stack) -> None:
    """Say when the stack is ready and where."""
    if stack.until_ready():
        stack.console.say(_welcome(stack))


def _welcome(stack: keeping.Stack) -> str:
    address = stack.address
    lines = [
        f"StableQueue is ready: {address.url}",
        f"Pictures are kept in: {environment.pictures_folder(stack.folder)}",
    ]
    if address.is_private:
        lines.append(
            "Only this machine can open it. For your network: ./stablequeue up --host 0.0.0.0"
        )
    else:
        lines.append(f"Anyone on your network can open it: {ports.network_url(address)}")
    return "\n".join([*lines, "Ctrl-C stops everything."])
