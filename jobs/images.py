"""Pictures on disk: staged beside their final place, synced, then linked to their name.

A name that exists is never overwritten, and a file is in place before its row says so.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings

STAGING = ".staging"


@dataclass(frozen=True)
class StagedImage:
    """One complete picture in the staging folder and the name it will get."""

    path: Path
    name: str
    index: int
    seed: int
    bytes: int
    sha256: str


def stage(
    *, job_id: UUID, attempt: int, pictures: Sequence[bytes], seeds: Sequence[int]
) -> tuple[StagedImage, ...]:
    """Write the pictures of an attempt to the staging folder and sync them.

    Raises OSError when the disk refuses.
    """
    folder = _staging_folder(job_id, attempt)
    folder.mkdir(parents=True, exist_ok=True)
    moment = time.time_ns() // 1_000_000
    staged = []
    for index, (picture, seed) in enumerate(zip(pictures, seeds, strict=True)):
        path = folder / f"{index:05}.png"
        _write_synced(path, picture)
        staged.append(
            StagedImage(
                path=path,
                name=f"{str(job_id)[:8]}_{moment}_{index:05}-{seed}.png",
                index=index,
                seed=seed,
                bytes=len(picture),
                sha256=hashlib.sha256(picture).hexdigest(),
            )
        )
    return tuple(staged)


def publish(images: Sequence[StagedImage]) -> None:
    """Give staged pictures their final names. Either all get one or none does.

    Raises OSError; FileExistsError if a name is taken.
    """
    done: list[str] = []
    try:
        for image in images:
            os.link(image.path, path_of(image.name))
            done.append(image.name)
        _sync_folder(settings.OUTPUTS_DIR)
    except OSError:
        remove(done)
        raise


def remove(names: Sequence[str]) -> None:
    """Take pictures away; one that is gone already is no error."""
    for name in names:
        path_of(name).unlink(missing_ok=True)


def discard_staging(*, job_id: UUID, attempt: int) -> None:
    """Remove what an attempt staged. What cannot be removed now is left to the sweep."""
    shutil.rmtree(_staging_folder(job_id, attempt), ignore_errors=True)


def path_of(name: str) -> Path:
    """Where the picture with this name, taken from the database, lies."""
    return Path(settings.OUTPUTS_DIR) / name


def require_writable() -> None:
    """Raise OSError unless a picture could be saved right now."""
    folder = Path(settings.OUTPUTS_DIR) / STAGING
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f"probe-{os.getpid()}-{time.monotonic_ns()}"
    try:
        probe.write_bytes(b"\0" * 4096)
    finally:
        probe.unlink(missing_ok=True)


def _staging_folder(job_id: UUID, attempt: int) -> Path:
    return Path(settings.OUTPUTS_DIR) / STAGING / f"{job_id}-{attempt}"


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
