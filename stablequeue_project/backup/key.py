"""The key that opens what is sealed in the database, on its way out of a backup."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings

from stablequeue_project import secret_files, secret_key
from stablequeue_project.backup import files
from stablequeue_project.backup.errors import BackupError


@contextlib.contextmanager
def ready(key: str) -> Iterator[Callable[[], None]]:
    """Have `key` on disk; calling what is yielded makes it the one in use, and can hardly fail.

    Raises BackupError when the key is not ours to change, and OSError.
    """
    if key == settings.SECRET_KEY:
        yield lambda: None
        return
    path = Path(settings.DATA_DIR) / secret_key.FILE_NAME
    if not _is_from(path) or len(key) < secret_files.SHORTEST:
        raise BackupError(
            "KEY_IS_SET_ELSEWHERE",
            "The backup has another secret key than this installation, and it cannot simply be "
            f"replaced: set STABLEQUEUE_SECRET_KEY to the text that 'tar -xOf FILE {path.name}' "
            "shows, then restore again.",
        )
    with files.draft_of(path) as draft:
        draft.file.write(key.encode())
        draft.sync()
        yield draft.publish


def _is_from(path: Path) -> bool:
    """Whether the key in use is the one in the file `path`."""
    try:
        return secret_files.load(path) == settings.SECRET_KEY
    except (OSError, secret_files.SecretDamaged):
        return False
