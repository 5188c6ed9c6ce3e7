"""`manage.py restore FILE`: put back what `backup` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from stablequeue_project.backup import files
from stablequeue_project.backup.restoring import restore
from stablequeue_project.backup.saying import SayingCommand, gigabytes


class Command(SayingCommand):
    help = (
        "Puts a backup back: checks all of it, then replaces the database and adds the files. "
        "StableQueue must be stopped. Ends with 0 when all is back, else with 1 and a sentence."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="what backup wrote; - is standard input")
        parser.add_argument(
            "--force", action="store_true", help="replace what is in the database already"
        )

    def carry_out(self, options: Mapping[str, Any]) -> None:
        """Read the file, or what comes through the pipe."""
        spool = Path(settings.DATA_DIR)
        with files.readable_twice(options["file"], spool=spool) as source:
            found = restore(source, force=options["force"], tell=self.progress)
        self.tell(
            f"{found.jobs:,} jobs and {found.files:,} files ({gigabytes(found.bytes)}) "
            f"of {found.head.made_at} are back."
        )
