"""The data folder: what lies where, who may use it now, and what the engines were given."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from stablequeue_project.stack import ports
from stablequeue_project.stack.errors import StackError


@dataclass(frozen=True)
class Account:
    """The port an engine listens on and the password it asks for."""

    port: int
    password: str = field(repr=False)


class DataFolder:
    """All that one installation keeps on disk.

    `run` holds what belongs to the running stack (locks, generated configuration, the
    engines' passwords) and may be deleted while nothing runs.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path / "run"
        self.logs = path / "logs"
        self.postgres = path / "postgres"
        self.redis = path / "redis"
        self._accounts = self.run / "engines.json"

    def prepare(self) -> None:
        """Make the folders. Raises StackError when that is not possible."""
        try:
            for folder in (self.path, self.run, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
                _require_writable(folder)
            if self.run.stat().st_uid == os.geteuid():
                self.run.chmod(0o700)
        except OSError as error:
            raise StackError(
                "DATA_FOLDER_UNUSABLE",
                f"The data folder {self.path} cannot be used ({error.strerror}). "
                "Make it writable, or name another with --data or STABLEQUEUE_DATA.",
            ) from error

    @contextlib.contextmanager
    def owned(self, word: str) -> Iterator[None]:
        """Be the only one who runs engines in this folder; `word` says to others what for.

        The lock is the kernel's, so it ends with its process and is never stale.
        Raises StackError when another process owns the folder.
        """
        with (self.run / "lock").open("a+") as lock:
            if not _locked_within(lock, seconds=1):
                raise StackError(
                    "DATA_FOLDER_IN_USE",
                    f"The data folder {self.path} is in use by {_owner(lock)}. "
                    "Stop that first, or name another folder with --data.",
                )
            lock.truncate(0)
            lock.write(f"'./stablequeue {word}' (process {os.getpid()})")
            lock.flush()
            yield

    def is_owned(self) -> bool:
        """Does another process run engines in this folder now?"""
        with (self.run / "lock").open("a+") as lock:
            return not _locked_within(lock, seconds=0)

    @contextlib.contextmanager
    def guest(self) -> Iterator[None]:
        """Use the owner's engines: a passing owner waits for its guests before it stops them."""
        with (self.run / "guests").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    @contextlib.contextmanager
    def without_guests(self) -> Iterator[None]:
        """Wait until the last guest has left, and let none in."""
        with (self.run / "guests").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def account(self, engine: str) -> Account | None:
        """Return what the engine named `engine` was last given."""
        stored = self._stored_accounts().get(engine)
        return Account(int(stored["port"]), str(stored["password"])) if stored else None

    def remember(self, engine: str, account: Account) -> None:
        """Keep `account` for the next start, readable by ourselves only."""
        text = json.dumps({**self._stored_accounts(), engine: asdict(account)}, indent=2)
        write_private(self._accounts, text)

    def _stored_accounts(self) -> dict[str, dict[str, Any]]:
        try:
            stored = json.loads(self._accounts.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}


def refreshed(account: Account | None) -> Account:
    """Return `account` with another port if its own is taken, or a new account."""
    if account is None:
        return Account(ports.free_port(), secrets.token_urlsafe(24))
    if ports.is_free(account.port):
        return account
    return Account(ports.free_port(), account.password)


def write_private(path: Path, text: str) -> None:
    """Replace `path` by a file with `text` that only its owner can read, never half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def _require_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(0, f"{folder} is not writable for this user")


def _locked_within(lock: IO[str], *, seconds: float) -> bool:
    """Try for a moment: somebody may only be asking whether the folder is owned."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _owner(lock: IO[str]) -> str:
    lock.seek(0)
    return lock.read(200) or "another start of StableQueue"
