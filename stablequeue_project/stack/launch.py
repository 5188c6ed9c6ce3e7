"""Becomes another program that cannot outlive its parent, as another user if asked.

Run as a script in front of every process of the stack, so it imports the standard
library only. The kernel's parent-death signal is what keeps a killed supervisor from
leaving processes behind; where the kernel has none, only the change of user remains.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityHalf(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def main() -> None:
    """Change folder and user, tie this process to its parent, and become the program."""
    for received in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(received, signal.SIG_DFL)
    wanted = _arguments()
    os.chdir(wanted.folder)
    if wanted.user:
        become(*map(int, wanted.user.split(":")), capability=wanted.capability)
    # After the change of user, which clears it.
    end_with_parent(wanted.parent, wanted.end_with)
    os.execvp(wanted.program[0], wanted.program)  # noqa: S606


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--folder", required=True, help="where the program runs")
    parser.add_argument("--parent", type=int, required=True, help="process id of the starter")
    parser.add_argument("--end-with", type=int, required=True, help="signal if that one dies")
    parser.add_argument("--user", help="uid:gid")
    parser.add_argument("--capability", type=int, help="the only capability the user keeps")
    parser.add_argument("program", nargs="+")
    return parser.parse_args()


def become(uid: int, gid: int, *, capability: int | None) -> None:
    """Give up root for `uid`, keeping `capability` (a number of capabilities(7)) if one is named.

    The set-uid fix-up is switched off for it: with the fix-up, access(2), which PostgreSQL
    asks about its own files, ignores the capabilities of a user who is not root.
    """
    if capability is not None:
        _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if capability is not None:
        _keep_only(capability)


def end_with_parent(parent: int, end_with: int) -> None:
    """Have the kernel send `end_with` when the process `parent` is gone."""
    if not sys.platform.startswith("linux"):
        return
    _prctl(_PR_SET_PDEATHSIG, end_with)
    if os.getppid() != parent:
        sys.exit("The process that started this one has ended.")


def _keep_only(capability: int) -> None:
    mask = 1 << capability
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    halves = (_CapabilityHalf * 2)()
    halves[0] = _CapabilityHalf(mask, mask, mask)
    _checked(ctypes.CDLL(None, use_errno=True).capset(ctypes.byref(header), halves))
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _prctl(option: int, *arguments: int) -> None:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    _checked(ctypes.CDLL(None, use_errno=True).prctl(option, *padded))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
