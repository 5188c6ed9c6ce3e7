"""What the two commands share: progress on standard error, and refusals as one sentence."""

from __future__ import annotations

import signal
import sys
from abc import abstractmethod
from collections.abc import Mapping
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from stablequeue_project.backup.errors import BackupError


class SayingCommand(BaseCommand):
    """Carries out, and ends with 1 and a sentence when that cannot be done."""

    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        """Carry out; a stop by a signal leaves nothing half-written."""
        for stop in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(stop, _interrupt)
        try:
            self.carry_out(options)
        except BackupError as refusal:
            self._end(str(refusal))
        except DatabaseError as error:
            self._end(f"The database cannot be used: {str(error).strip().splitlines()[0]}")
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            self._end(f"{error.strerror or error}{where}. Nothing incomplete was left behind.")
        except KeyboardInterrupt:
            self._end("Stopped. Nothing incomplete was left behind.")

    @abstractmethod
    def carry_out(self, options: Mapping[str, Any]) -> None:
        """Do it. May raise BackupError, DatabaseError and OSError."""

    def tell(self, line: str) -> None:
        """Say something; standard output may be the archive."""
        self.stderr.write(line)

    def progress(self, line: str) -> None:
        """Say something to a person who waits, and not to cron, which would send a letter."""
        if self.stderr.isatty():
            self.tell(line)

    def _end(self, sentence: str) -> None:
        self.tell(sentence)
        sys.exit(1)


def gigabytes(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.1f} MB"


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
