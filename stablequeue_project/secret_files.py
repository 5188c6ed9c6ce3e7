"""Secrets in files of their own, made once by whoever comes first and never replaced."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

POSTGRES_PASSWORD = "postgres-password"  # noqa: S105
REDIS_PASSWORD = "redis-password"  # noqa: S105
FLOWER_PASSWORD = "flower-password"  # noqa: S105
"""Names of the files in the folder that STABLEQUEUE_SECRETS names."""

SHORTEST = 32


class SecretDamaged(Exception):
    """A file that should hold a secret holds none that can be used."""

    code = "SECRET_DAMAGED"

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds no usable key. Restore it from a backup.")


def load_or_create(path: Path) -> str:
    """Return the secret in `path`, making it (and the folder) if there is none.

    Raises OSError when the folder cannot be used, and SecretDamaged.
    """
    if not path.exists():
        write_once(path, secrets.token_urlsafe(48))
    return load(path)


def load(path: Path) -> str:
    """Return the secret in `path`. Raises OSError when there is none, and SecretDamaged."""
    secret = path.read_text().strip()
    if len(secret) < SHORTEST:
        raise SecretDamaged(path)
    return secret


def write_once(path: Path, text: str) -> None:
    """Make the file `path`, readable by its owner only, unless it exists. Raises OSError.

    Several processes may start at once on an empty folder. The text is written in full
    under a name of its own and then linked to the final one; linking fails when the name
    exists, so all of them end up with one text and none reads half of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
