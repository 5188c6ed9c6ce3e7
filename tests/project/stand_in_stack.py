"""`./stablequeue up` with small stand-ins for the processes beside the engines.

Run as a script with the arguments of `up`.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from stablequeue_project.stack import up  # noqa: E402
from stablequeue_project.stack.__main__ import guarded  # noqa: E402
from stablequeue_project.stack.processes import Process  # noqa: E402


def table(address):
    def stand_in(role, order, **options):
        command = (sys.executable, "-u", str(HERE / "stand_in_process.py"), role)
        return Process(role, (*command, str(address.port)), order=order, **options)

    extra = os.environ.get("STAND_IN_EXTRA")
    return (
        *([stand_in(extra, 40)] if extra else []),
        stand_in("gate", 30, is_gate=True),
        stand_in("worker", 40, stop_seconds=3),
        stand_in("web", 60, stop_seconds=3),
    )


if __name__ == "__main__":
    # The suite sets these for Django; here the engines are to be our own.
    for name in ("DATABASE_URL", "REDIS_URL", "STABLEQUEUE_DATA"):
        os.environ.pop(name, None)
    sys.exit(guarded(lambda arguments: up.run(arguments, table), sys.argv[1:]))
