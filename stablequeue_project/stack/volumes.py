"""The service `init` of docker-compose.yml: makes the volumes ready, then ends.

Docker makes volumes and missing folders as root. They are handed to the one user all other
services run as, so that none of those ever needs to be root, and the passwords by which
the services know each other are made.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from stablequeue_project import secret_files
from stablequeue_project.stack import launch
from stablequeue_project.stack.errors import StackError
from stablequeue_project.stack.privileges import User
from stablequeue_project.stack.processes import SETTINGS_UNUSABLE


def main() -> int:
    """Do it and return the exit code."""
    options = _options()
    try:
        _require_ordinary(options.user)
        _hand_over(options)
        for folder in (options.secrets, options.pictures, *options.volumes):
            _require_writable(folder)
        _make_secrets(options.secrets)
    except (StackError, secret_files.SecretDamaged) as refusal:
        sys.stderr.write(f"{refusal}\n")
        return SETTINGS_UNUSABLE
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--user", type=_user, required=True, help="uid:gid of all services")
    parser.add_argument("--secrets", type=Path, required=True, help="where passwords are made")
    parser.add_argument("--pictures", type=Path, required=True, help="a folder of the owner's")
    parser.add_argument("volumes", type=Path, nargs="*", help="what else the services write to")
    return parser.parse_args()


def _user(text: str) -> User:
    uid, _, gid = text.partition(":")
    return User(int(uid), int(gid))


def _require_ordinary(user: User) -> None:
    if user.uid == 0:
        raise StackError(
            "USER_IS_ROOT",
            "PUID is 0, but nothing here may run as root. Set PUID and PGID in .env to the "
            "user and group who own the pictures folder.",
        )


def _hand_over(options: argparse.Namespace) -> None:
    """Give the folders to the user, and become that user."""
    user: User = options.user
    if os.geteuid() != 0:
        return
    for volume in (options.secrets, *options.volumes):
        if _owner(volume) != (user.uid, user.gid):
            _give(volume, user)
    # This one may hold other things of its owner's; if it is root's, Docker has just made it.
    if _owner(options.pictures)[0] == 0:
        _give(options.pictures, user, with_content=False)
    launch.become(user.uid, user.gid, capability=None)


def _give(folder: Path, user: User, *, with_content: bool = True) -> None:
    # A network drive may refuse even root. Whether that matters is seen afterwards.
    with contextlib.suppress(PermissionError):
        # The top comes last: an interrupted hand-over is begun again.
        for path in (*(_content(folder) if with_content else ()), folder):
            os.chown(path, user.uid, user.gid, follow_symlinks=False)


def _owner(folder: Path) -> tuple[int, int]:
    state = folder.stat()
    return state.st_uid, state.st_gid


def _content(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))


def _require_writable(folder: Path) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        uid, gid = _owner(folder)
        raise StackError(
            "FOLDER_OF_ANOTHER_USER",
            f"{folder} belongs to user {uid} and group {gid}, and the services may not write "
            f"there. Set PUID={uid} and PGID={gid} in .env, or give the folder to them with "
            f"'chown -R {os.geteuid()}:{os.getegid()}'.",
        )


def _make_secrets(folder: Path) -> None:
    secret_files.load_or_create(folder / secret_files.POSTGRES_PASSWORD)
    secret_files.load_or_create(folder / secret_files.FLOWER_PASSWORD)
    password = secret_files.load_or_create(folder / secret_files.REDIS_PASSWORD)
    # On Redis' command line everybody on the machine could read it.
    secret_files.write_once(folder / "redis.conf", f"requirepass {password}\n")


if __name__ == "__main__":
    sys.exit(main())
