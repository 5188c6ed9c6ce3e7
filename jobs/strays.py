"""Files that no row knows, and rows whose file is gone.

Only files that can be ours are ever removed: their names have our form, and they were made
for a job that this database knows. A folder of pictures from another database is left as it
is. Looks at a part of everything at a time and says where to go on.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import re
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from jobs import images, inputs, thumbnails
from jobs.models import Image, Input, Job

AT_ONCE = 2000
"""Files or rows that one step looks at."""

_PICTURE = re.compile(r"([0-9a-f]{8})_\d{13}_\d{5}-\d+\.png", re.ASCII)
_THUMBNAIL = re.compile(rf"({_PICTURE.pattern})\.webp(?:\.\d+\.draft)?", re.ASCII)
_ATTEMPT = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-(\d+)", re.ASCII)
_STAGED = re.compile(rf"{_ATTEMPT.pattern}|probe-\d+-\d+", re.ASCII)
_INPUT = re.compile(rf"[0-9a-f]{{64}}|{inputs.DRAFT}\w+", re.ASCII)


@dataclass(frozen=True)
class Part:
    """What a step found or removed, and after which name to go on; empty at the end."""

    count: int
    go_on_after: str = ""


def remove_dead_staging(after: str) -> Part:
    """Remove what attempts staged that are over; of one under way nothing is touched."""
    folder = Path(settings.OUTPUTS_DIR) / images.STAGING
    part = _next_names(folder, after, _STAGED)
    # The rows are read after the names: an attempt claims its job before it stages anything.
    alive = set(Job.objects.processing().values_list("id", "attempt"))
    count = 0
    for name in part:
        found = _ATTEMPT.fullmatch(name)
        dead = (UUID(found[1]), int(found[2])) not in alive if found else _is_old(folder / name)
        if dead:
            path = folder / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else _unlink(path)
            count += 1
    return Part(count, _end_of(part))


def remove_stray_pictures(after: str) -> Part:
    """Remove pictures that died with their worker before a row told of them.

    A name is judged by one look at the database after it was seen on disk: a picture gets
    its name while its job is still processing for all others, and its row in the very
    commit that ends this. So it has a row, or its job is processing, or it is nobody's.
    """
    folder = Path(settings.OUTPUTS_DIR)
    part = _next_names(folder, after, _PICTURE)
    strays = [name for name in _unclaimed(part) if _is_old(folder / name)]
    ours = _known_jobs({name[:8] for name in strays})
    doomed = [name for name in strays if name[:8] in ours]
    images.remove(doomed)
    return Part(len(doomed), _end_of(part))


def remove_stray_thumbnails(after: str) -> Part:
    """Remove thumbnails of pictures that are gone, and drafts of makers that died."""
    # All sizes of a picture have the same name.
    folders = [thumbnails.folder_of(size) for size in thumbnails.SIZES]
    found = set().union(*(_next_names(folder, after, _THUMBNAIL) for folder in folders))
    part = sorted(found)[:AT_ONCE]
    names = {name: name.partition(".webp")[0] for name in part}
    known = set(Image.objects.filter(name__in=names.values()).values_list("name", flat=True))
    count = 0
    for name, picture in names.items():
        paths = [folder / name for folder in folders]
        is_draft = name.endswith(".draft")
        if any(map(_is_old, paths)) if is_draft else picture not in known:
            for path in paths:
                _unlink(path)
            count += 1
    return Part(count, _end_of(part))


def remove_unused_inputs(after: str) -> Part:
    """Remove inputs that no job uses any more."""
    age = timedelta(seconds=settings.UNUSED_INPUT_AGE)
    unused = Input.objects.filter(jobs=None, created_at__lt=Now() - age, sha256__gt=after)
    part = list(unused.order_by("sha256").values_list("sha256", flat=True)[:AT_ONCE])
    return Part(inputs.forget_unused(part), _end_of(part))


def remove_stray_inputs(after: str) -> Part:
    """Remove files of inputs that no row knows, and drafts of processes that died."""
    root = Path(settings.INPUTS_DIR)
    part = heapq.nsmallest(AT_ONCE, (found for found in _input_files(root) if found > after))
    places = {place: place.partition("/")[2] for place in part}
    known = set(Input.objects.filter(sha256__in=places.values()).values_list("sha256", flat=True))
    count = 0
    for place, name in places.items():
        if name in known or not _is_old(root / place, settings.UNUSED_INPUT_AGE):
            continue
        if name.startswith(inputs.DRAFT):
            _unlink(root / place)
            count += 1
        else:
            count += inputs.forget_file(name)
    return Part(count, _end_of(part))


def count_missing_pictures(after: str) -> Part:
    """Count rows whose file is gone. They stay: the folder may come back."""
    newer = Image.objects.filter(id__gt=int(after or 0)).order_by("id")
    rows = list(newer.values_list("id", "name")[:AT_ONCE])
    count = sum(not images.path_of(name).exists() for _, name in rows)
    return Part(count, str(rows[-1][0]) if len(rows) == AT_ONCE else "")


def _next_names(folder: Path, after: str, form: re.Pattern[str]) -> list[str]:
    """The next names of that form in a folder, in order. None if it does not exist."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        names = (entry.name for entry in entries)
        return heapq.nsmallest(
            AT_ONCE, (name for name in names if name > after and form.fullmatch(name))
        )
    return []


def _end_of(part: Sequence[str]) -> str:
    return part[-1] if len(part) == AT_ONCE else ""


def _input_files(root: Path) -> Iterator[str]:
    """All files that can be inputs, as `ab/ab01…`."""
    with contextlib.suppress(FileNotFoundError):
        for folder in os.scandir(root):
            if len(folder.name) == 2 and folder.is_dir(follow_symlinks=False):
                for entry in os.scandir(folder):
                    if _INPUT.fullmatch(entry.name):
                        yield f"{folder.name}/{entry.name}"


def _unclaimed(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_UNCLAIMED, [list(names), *_ranges([name[:8] for name in names])])
        return [name for (name,) in cursor.fetchall()]


_UNCLAIMED = """
    SELECT file.name
      FROM unnest(%s::text[], %s::uuid[], %s::uuid[]) AS file (name, first, last)
     WHERE NOT EXISTS (SELECT 1 FROM jobs_image WHERE jobs_image.name = file.name)
       AND NOT EXISTS (
            SELECT 1 FROM jobs_job
             WHERE id BETWEEN file.first AND file.last AND status = 'processing'
           )
"""


def _known_jobs(prefixes: Collection[str]) -> set[str]:
    """Those of the beginnings of ids with which one of our jobs begins, or began."""
    if not prefixes:
        return set()
    asked = sorted(prefixes)
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN, [asked, *_ranges(asked), asked])
        return {prefix for (prefix,) in cursor.fetchall()}


# Deleted ones are told by the event log, which is read through from end to end: rarely, as
# only what died in a certain moment comes here.
_KNOWN = """
    SELECT asked.prefix
      FROM unnest(%s::text[], %s::uuid[], %s::uuid[]) AS asked (prefix, first, last)
     WHERE EXISTS (SELECT 1 FROM jobs_job WHERE id BETWEEN asked.first AND asked.last)
     UNION
    SELECT left(subject_id, 8) FROM events_event
     WHERE subject_type = 'job' AND left(subject_id, 8) = ANY(%s)
"""


def _ranges(prefixes: Sequence[str]) -> tuple[list[str], list[str]]:
    """The first and the last id that begin with each."""
    return (
        [f"{prefix}-0000-0000-0000-000000000000" for prefix in prefixes],
        [f"{prefix}-ffff-ffff-ffff-ffffffffffff" for prefix in prefixes],
    )


def _is_old(path: Path, age: float | None = None) -> bool:
    """Whether a file lies there for longer than `age` seconds, by default STRAY_AGE."""
    try:
        written_at = path.stat(follow_symlinks=False).st_mtime
    except OSError:
        return False
    return time.time() - written_at > (settings.STRAY_AGE if age is None else age)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
