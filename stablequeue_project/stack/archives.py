"""`./stablequeue backup` and `restore`: the same words of manage.py, for people at a terminal.

File names are meant from the folder the person is in, and the data folder can be named.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from stablequeue_project.stack import environment, word

PIPE = "-"


def back_up(arguments: Sequence[str]) -> int:
    """Write a backup, through the engines that run, or that run for this; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="./stablequeue backup",
        description="Write one archive (tar) with the database, the pictures, the inputs and the "
        "secret key, while everything runs. What has the file's name is replaced once the new "
        "one is complete. Ends with 0 when it is, else with 1 and a sentence.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        default=".",
        help="where to; a folder (this one, if none is named) gets a file named after the time, "
        "- is standard output",
    )
    options = _parsed(parser, arguments)
    return word.run(["backup", _meant_from_here(options.file)])


def restore(arguments: Sequence[str]) -> int:
    """Put a backup back. Nothing else may use the data folder meanwhile."""
    parser = argparse.ArgumentParser(
        prog="./stablequeue restore",
        description="Put a backup back: all of it is checked first, then the database is "
        "replaced and the files are added. StableQueue must be stopped. Ends with 0 when all "
        "is back, else with 1 and a sentence.",
    )
    parser.add_argument("file", help="what backup wrote; - is standard input")
    parser.add_argument(
        "--force", action="store_true", help="replace what is in the database already"
    )
    options = _parsed(parser, arguments)
    more = ["--force"] if options.force else []
    return word.run(["restore", _meant_from_here(options.file), *more], as_guest=False)


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """Read the arguments and let the settings know the data folder."""
    parser.add_argument("--data", help="where everything is kept (./data)")
    options = parser.parse_args(arguments)
    environment.load_env_file()
    environment.data_folder(options.data)
    return options


def _meant_from_here(file: str) -> str:
    return file if file == PIPE else str(Path(file).expanduser().resolve())
