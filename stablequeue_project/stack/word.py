"""`./stablequeue <word>`: a manage.py command, with the engines of the data folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from stablequeue_project.stack import engines, environment, processes
from stablequeue_project.stack.errors import StackError
from stablequeue_project.stack.folder import DataFolder

_NEED_NO_ENGINES = {"help", "--version", "runforgesim", "check"}
_HELP = {"-h", "--help"}
# The settings ask for both names; nothing listens on port 1.
_PLACEHOLDERS = {
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def run(arguments: Sequence[str], *, as_guest: bool = True) -> int:
    """Run `manage.py <arguments>` and return its exit code.

    The engines that run on the data folder are used; if none do, they run for this command.
    A word that may not be a guest is refused while others run them.
    """
    environment.load_env_file()
    folder = environment.data_folder()
    if arguments[0] in _NEED_NO_ENGINES or _HELP & set(arguments):
        for variable, value in _PLACEHOLDERS.items():
            os.environ[variable] = os.environ.get(variable) or value
        return _manage(arguments)
    ours = engines.embedded(folder)
    if not ours:
        return _manage(arguments)
    folder.prepare()
    if not as_guest:
        return _as_owner(ours, folder, arguments)
    while True:
        with folder.guest():
            if folder.is_owned():
                return _as_guest(ours, folder, arguments)
        try:
            return _as_owner(ours, folder, arguments)
        except StackError as error:
            # Somebody became the owner since we asked.
            if error.code != "DATA_FOLDER_IN_USE":
                raise


def _as_guest(ours: Sequence[engines.Engine], folder: DataFolder, arguments: Sequence[str]) -> int:
    engines.wait_for(ours, still_starting=folder.is_owned)
    engines.announce(ours)
    return _manage(arguments)


def _as_owner(ours: Sequence[engines.Engine], folder: DataFolder, arguments: Sequence[str]) -> int:
    with folder.owned(arguments[0]):
        engines.prepare(folder, ours)
        engines.announce(ours)
        with engines.running(folder, ours):
            code = _manage(arguments)
            with folder.without_guests():
                return code


def _manage(arguments: Sequence[str]) -> int:
    return run_in_foreground([sys.executable, str(processes.CHECKOUT / "manage.py"), *arguments])


def run_in_foreground(command: Sequence[str]) -> int:
    """Run `command` on our terminal and return its exit code, as a shell counts it.

    Ctrl-C goes to the command, which shares our terminal, and not to us: the engines stay
    until it has ended.
    """
    child = subprocess.Popen(command, cwd=processes.CHECKOUT)  # noqa: S603
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
    return code if code >= 0 else 128 - code
