"""`manage.py backup [FILE]`: write one archive with everything."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from stablequeue_project.backup import files
from stablequeue_project.backup.making import Made, make
from stablequeue_project.backup.saying import SayingCommand, gigabytes


class Command(SayingCommand):
    help = (
        "Writes one archive (tar) with the database, the pictures, the inputs and the secret "
        "key, while everything runs. Ends with 0 when it is complete, else with 1 and a sentence."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            nargs="?",
            default=".",
            help="where to; a folder gets a file named after the time, - is standard output",
        )

    def carry_out(self, options: Mapping[str, Any]) -> None:
        """Write to the file or to the pipe."""
        file = options["file"]
        if file == "-":
            self.report(make(sys.stdout.buffer, self.progress), "standard output")
            return
        path = _path(file)
        with files.draft_of(path) as draft:
            made = make(draft.file, self.progress)
            draft.sync()
            draft.publish()
        self.report(made, str(path))

    def report(self, made: Made, where: str) -> None:
        """Say what was written."""
        self.tell(
            f"A backup of {made.jobs:,} jobs and {made.files:,} files "
            f"({gigabytes(made.bytes)}) is complete: {where}"
        )
        if made.missing:
            self.tell(
                f"{made.missing:,} files that the database names were not there; the archive "
                "lists them in its SHA256SUMS files."
            )
        self.tell("It holds the key that opens the stored passwords: keep it where nobody reads.")


def _path(file: str) -> Path:
    path = Path(file).expanduser().resolve()
    if path.is_dir():
        return path / f"stablequeue-{datetime.now():%Y-%m-%d-%H%M%S}.tar"  # noqa: DTZ005
    return path
