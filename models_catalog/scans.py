"""The life of a scan: wanted, begun, told about, stopped, ended. Each step is one statement.

A scan whose process is gone is taken over under the next `turn`; what the former one still
says then counts no more.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from events import log
from models_catalog import folders
from models_catalog.models import FolderFile, Scan

logger = logging.getLogger(__name__)

State = Scan.State
KEPT = 20
"""Ended scans that are remembered."""
MAX_TROUBLES = 20
MAX_TROUBLE = 300


class ScanOver(Exception):
    """The scan is not this process's to go on with: stopped, or taken over."""


@dataclass
class Tally:
    """What a scan has met so far."""

    folder: str = ""
    seen: int = 0
    added: int = 0
    changed: int = 0
    missing: int = 0
    left_out: int = 0
    troubles: list[str] = field(default_factory=list)

    def leave_out(self, sentence: str) -> None:
        """Count something that is passed over; the first few sentences are kept."""
        self.left_out += 1
        if len(self.troubles) < MAX_TROUBLES:
            self.troubles.append(sentence[:MAX_TROUBLE].replace("\0", ""))


def want() -> Scan:
    """Have the folders looked through soon. Returns the scan that does it."""
    try:
        with transaction.atomic():
            return Scan.objects.create()
    except IntegrityError:
        # One is wanted or runs already.
        return Scan.objects.unfinished().first() or want()


def stop() -> Scan | None:
    """Have the scan end before its time. Returns it, or the last one if none runs."""
    waiting = Scan.objects.filter(state=State.WANTED)
    waiting.update(state=State.STOPPED, ended_at=Now(), stop_wanted=True)
    Scan.objects.filter(state=State.RUNNING).update(stop_wanted=True)
    return latest()


def latest() -> Scan | None:
    """The newest scan."""
    return Scan.objects.first()


def are_due() -> bool:
    """Whether one is to be begun: wanted, left behind, or the last one is long ago."""
    if Scan.objects.filter(state=State.WANTED).exists() or Scan.objects.abandoned().exists():
        return True
    long_ago = Now() - timedelta(seconds=settings.SCAN_EVERY)
    recent = Scan.objects.filter(Q(ended_at=None) | Q(ended_at__gt=long_ago))
    return bool(folders.roots()) and not recent.exists()


def begin() -> Scan | None:
    """Take the wanted scan, or one whose process is gone. None if there is nothing to do."""
    if not are_due():
        return None
    scan = want()
    ready = Scan.objects.abandoned() | Scan.objects.filter(state=State.WANTED)
    taken = ready.filter(pk=scan.pk, turn=scan.turn).update(
        state=State.RUNNING,
        turn=F("turn") + 1,
        started_at=Now(),
        beat_at=Now(),
        expected=FolderFile.objects.present().count(),
    )
    if not taken:
        return None
    scan.refresh_from_db()
    return scan


def tell(scan: Scan, tally: Tally) -> None:
    """Say how far it is. Raises ScanOver if it is to go no further."""
    mine = Scan.objects.filter(pk=scan.pk, turn=scan.turn, state=State.RUNNING)
    if not mine.update(beat_at=Now(), **_columns(tally)):
        raise ScanOver
    if mine.filter(stop_wanted=True).exists():
        raise ScanOver


def give_back(scan: Scan) -> None:
    """Leave it to another process, which begins it again."""
    mine = Scan.objects.filter(pk=scan.pk, turn=scan.turn, state=State.RUNNING)
    mine.update(state=State.WANTED, turn=F("turn") + 1)


def end(scan: Scan, tally: Tally, state: Scan.State) -> None:
    """Close it, unless another process has taken it over."""
    mine = Scan.objects.filter(pk=scan.pk, turn=scan.turn, state=State.RUNNING)
    with transaction.atomic():
        if not mine.update(state=state, ended_at=Now(), **_columns(tally)):
            return
        facts = {"state": state.value, "seen": tally.seen, "added": tally.added}
        facts |= {"changed": tally.changed, "missing": tally.missing}
        log.record([log.Change("models.scanned", "scan", str(scan.pk), facts)])
    old = Scan.objects.filter(pk__lte=scan.pk).values_list("pk", flat=True)[KEPT:]
    Scan.objects.filter(pk__in=list(old)).delete()
    logger.info(
        "scan %s %s: %s files, %s new, %s changed, %s missing, %s left out",
        *(scan.pk, state.value, tally.seen, tally.added, tally.changed, tally.missing),
        tally.left_out,
    )


def _columns(tally: Tally) -> dict[str, object]:
    return {
        "folder": tally.folder,
        "seen": tally.seen,
        "added": tally.added,
        "changed": tally.changed,
        "missing": tally.missing,
        "left_out": tally.left_out,
        "troubles": tally.troubles,
    }
