"""Pictures on disk: staged beside their final place, synced, then linked to their name.

A name that exists is never overwritten, and a file is in place before its row says so.
The folder carries a mark, so that the empty place where its disk is mounted is not taken
for it.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings

from jobs.models import Image

STAGING = ".staging"
MARK = ".stablequeue"
"""The file that tells our folder of pictures."""

_WITHOUT_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What the disks say that know no hard links, as those of some shared folders."""


class FolderIsAnother(OSError):
    """The folder of the pictures holds none of those made before."""

    def __init__(self) -> None:
        super().__init__(errno.ENOENT, "none of the pictures made before is there")


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

    Doing it again changes nothing. Raises OSError; FileExistsError if a name is taken.
    """
    done: list[str] = []
    try:
        for image in images:
            _give_name(image.path, path_of(image.name))
            done.append(image.name)
        _sync_folder(settings.OUTPUTS_DIR)
    except OSError:
        remove(done)
        raise


def remove(names: Sequence[str]) -> None:
    """Take pictures away. What cannot be removed now is left to the sweep."""
    for name in names:
        with contextlib.suppress(OSError):
            path_of(name).unlink()


def discard_staging(*, job_id: UUID, attempt: int) -> None:
    """Remove what an attempt staged. What cannot be removed now is left to the sweep."""
    shutil.rmtree(_staging_folder(job_id, attempt), ignore_errors=True)


def path_of(name: str) -> Path:
    """Where the picture with this name, taken from the database, lies."""
    return Path(settings.OUTPUTS_DIR) / name


def require_there() -> None:
    """Raise OSError unless our folder is there and says that it takes files. Makes it at first.

    Writes nothing, so that it can be asked often without waking a disk.
    """
    folder = Path(settings.OUTPUTS_DIR)
    if not (folder / MARK).exists():
        _adopt(folder)
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def require_writable() -> None:
    """Raise OSError unless a picture could be saved right now: some bytes are written."""
    require_there()
    staging = Path(settings.OUTPUTS_DIR) / STAGING
    staging.mkdir(exist_ok=True)
    probe = staging / f"probe-{os.getpid()}-{time.monotonic_ns()}"
    try:
        probe.write_bytes(b"\0" * 4096)
    finally:
        probe.unlink(missing_ok=True)


def _adopt(folder: Path) -> None:
    """Mark the folder as ours: there are no pictures yet, or it holds some of the newest."""
    newest = list(Image.objects.order_by("-id").values_list("name", flat=True)[:100])
    if newest and not any((folder / name).exists() for name in newest):
        raise FolderIsAnother
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _give_name(staged: Path, final: Path) -> None:
    try:
        os.link(staged, final)
    except FileExistsError:
        # It has its name already if a commit is repeated whose answer was lost.
        if not filecmp.cmp(staged, final, shallow=False):
            raise
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        _copy_to_name(staged, final)


def _copy_to_name(staged: Path, final: Path) -> None:
    """Without links: claim the name by an empty file, then put a complete one in its place."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        copy = staged.with_suffix(".copy")
        try:
            _write_synced(copy, staged.read_bytes())
            copy.replace(final)
        except OSError:
            final.unlink(missing_ok=True)
            raise
        return
    if not filecmp.cmp(staged, final, shallow=False):
        raise FileExistsError(errno.EEXIST, "the name is taken", str(final))


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
