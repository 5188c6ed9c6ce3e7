"""Running the stack as a process of its own, and asking about it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from stablequeue_project.stack import orphans, ports
from stablequeue_project.stack.folder import DataFolder
from stablequeue_project.stack.processes import CHECKOUT

STAND_IN = Path(__file__).with_name("stand_in_stack.py")


def until(condition, what, seconds=40):
    """Return the first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"Waited {seconds} s in vain for: {what()}"
        time.sleep(0.05)
    return answer


def ended(pid):
    """Is the process gone, or only waiting to be noticed by its parent?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill_at_once(*pids):
    """Kill all of them; some end by themselves when the first ones are gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class StackRun:
    """One `up` with stand-ins on a data folder."""

    def __init__(self, data, *arguments, port=None, **environment):
        self.folder = DataFolder(data)
        self.port = port or ports.free_port()
        self._log = data.with_name(f"{data.name}.{time.monotonic_ns()}.log")
        command = [sys.executable, str(STAND_IN), "--data", str(data), "--port", str(self.port)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *arguments],
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **environment},
            )

    @property
    def output(self):
        return self._log.read_text()

    def until_said(self, text):
        until(lambda: text in self.output or self.process.poll() is not None, lambda: self.output)
        assert text in self.output
        return self

    def until_ready(self):
        return self.until_said("StableQueue is ready")

    def until_ended(self):
        return self.process.wait(timeout=40)

    def story(self):
        """Return [(role, what happened, process id)] of the stand-ins."""
        try:
            lines = (self.folder.path / "story").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(role, what, int(pid)) for role, what, pid in map(str.split, lines)]

    def starts(self, role):
        return [pid for who, what, pid in self.story() if (who, what) == (role, "started")]

    def postmaster(self):
        return int((self.folder.postgres / "postmaster.pid").read_text().split()[0])

    def stop(self, with_signal=signal.SIGTERM):
        """Stop it however it stands, and whatever it may have left."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        code = self.until_ended()
        orphans.end_all(self.folder)
        return code


def run_word(*arguments, **environment):
    """Run `./stablequeue <arguments>` without the part that installs."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "REDIS_URL")
    }
    return subprocess.run(
        [sys.executable, "-m", "stablequeue_project.stack", *arguments],
        cwd=CHECKOUT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
