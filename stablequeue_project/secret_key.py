"""The installation's secret key: made once, kept in the data folder, never in the database.

It signs cookies and opens the Forge passwords kept in the database.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

FILE_NAME = "secret.key"


def load_or_create(data_dir: Path) -> str:
    """Return the key in `data_dir`, making it (and the folder) if there is none.

    Several processes may start at once on an empty folder. The key is written in full
    under a name of its own and then linked to the final one; linking fails when the name
    exists, so all of them end up with one key and none reads half of it.

    Raises ImproperlyConfigured when the folder cannot be written.
    """
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            _create(path)
        key = path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The data folder {data_dir} cannot be used ({error.strerror}). "
            "Make it writable, or name another with STABLEQUEUE_DATA."
        ) from error
    if len(key) < 32:
        raise ImproperlyConfigured(
            f"{path} holds no usable key. Restore it from a backup; "
            "without it the stored Forge passwords cannot be read."
        )
    return key


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
