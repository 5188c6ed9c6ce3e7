"""Which user runs PostgreSQL when we are root, since PostgreSQL refuses to be root."""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from stablequeue_project.stack.errors import StackError

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


@dataclass(frozen=True)
class User:
    """An unprivileged user of this machine."""

    uid: int
    gid: int


def engine_user(folder: Path, checkout: Path) -> User | None:
    """Return who runs the engine whose files lie in `folder`; None means ourselves.

    Root chooses the owner of existing files, else who called sudo, else the owner of the
    checkout, else `nobody`. Raises StackError when the files belong to another user and
    we are not root.
    """
    if os.geteuid() != 0:
        if folder.exists() and folder.stat().st_uid != os.geteuid():
            raise StackError(
                "DATA_FOLDER_OF_ANOTHER_USER",
                f"{folder} belongs to the user {_name(folder.stat().st_uid)}. "
                "Start StableQueue as that user or as root, or name another folder with --data.",
            )
        return None
    for candidate in _candidates(folder, checkout):
        if candidate.uid != 0:
            return candidate
    raise StackError(
        "NO_UNPRIVILEGED_USER",
        "PostgreSQL refuses to run as root and this machine has no user 'nobody'. "
        "Start StableQueue as an ordinary user.",
    )


def capability_for(user: User | None, binary: Path, folder: Path) -> int | None:
    """Return the one capability `user` needs to reach `binary` and `folder`, if any.

    They may lie below a folder that only root may enter, such as /root. We do not open
    such a folder to everyone: the engine alone gets the right to pass.
    """
    if user is None:
        return None
    binary, folder = binary.resolve(), folder.resolve()
    if not _may(user, binary, 0o111):
        return CAP_DAC_OVERRIDE
    if all(_may(user, parent, 0o111) for parent in (*binary.parents, *folder.parents)):
        return None
    return CAP_DAC_READ_SEARCH if _held(CAP_DAC_READ_SEARCH) else CAP_DAC_OVERRIDE


def hand_over(path: Path, user: User | None) -> None:
    """Give a file, or a folder and all in it, to `user`, if root owns it."""
    if user is None or path.stat().st_uid != 0:
        return
    try:
        # The top last: its owner says whether all below has been given.
        for inner in (*path.rglob("*"), path):
            os.chown(inner, user.uid, user.gid, follow_symlinks=False)
    except OSError as error:
        raise StackError(
            "CANNOT_GIVE_UP_ROOT",
            f"PostgreSQL refuses to run as root, and {path} cannot be given to the user "
            f"{_name(user.uid)} ({error.strerror}). Start StableQueue as an ordinary user.",
        ) from error


def _candidates(folder: Path, checkout: Path) -> Iterator[User]:
    if folder.exists():
        owner = folder.stat()
        yield User(owner.st_uid, owner.st_gid)
    sudo = (os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", ""))
    if all(re.fullmatch(r"[0-9]{1,9}", number) for number in sudo):
        yield User(int(sudo[0]), int(sudo[1]))
    owner = checkout.stat()
    yield User(owner.st_uid, owner.st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        return
    yield User(nobody.pw_uid, nobody.pw_gid)


def _may(user: User, path: Path, bits: int) -> bool:
    """Do the mode bits of `path` give `user` what `bits` (for all three classes) ask?"""
    status = path.stat()
    if status.st_uid == user.uid:
        allowed = 0o700
    elif status.st_gid == user.gid:
        allowed = 0o070
    else:
        allowed = 0o007
    return bool(status.st_mode & allowed & bits)


def _held(capability: int) -> bool:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.M)
    return found is not None and bool(int(found[1], 16) >> capability & 1)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
