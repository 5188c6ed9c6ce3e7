"""What `./stablequeue` calls: one word and its arguments."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType

from stablequeue_project.stack import archives, suite, up, word
from stablequeue_project.stack.demo import command as demo
from stablequeue_project.stack.errors import StackError


def main(arguments: Sequence[str]) -> int:
    """Do what `arguments` say and return the exit code."""
    return guarded(_command, arguments)


def guarded(command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Run `command`; a refusal becomes one sentence, and a stop during the start no error."""
    for stop in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(stop) != signal.SIG_IGN:
            signal.signal(stop, _interrupt)
    try:
        return command(arguments)
    except StackError as refusal:
        sys.stderr.write(f"stablequeue: {refusal}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def _command(arguments: Sequence[str]) -> int:
    first, *rest = arguments
    if first == "up":
        return up.run(rest)
    if first == "demo":
        return demo.run(rest)
    if first == "backup":
        return archives.back_up(rest)
    if first == "restore":
        return archives.restore(rest)
    if first == "bench":
        # In a process of its own: measuring is for developers and no part of the product.
        return word.run_in_foreground([sys.executable, "-m", "bench", *rest])
    if first == "test":
        return suite.run(rest)
    return word.run(arguments)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["help"]))
