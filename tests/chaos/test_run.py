"""A short run over a whole StableQueue: every failpoint with kill -9, and the larger disasters.

Its rounds are fixed; `./stablequeue chaos --minutes 20` takes them by chance.
"""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from jobs.failpoints import Failpoint
from tests.flows.stack import eventually

ROOT = Path(__file__).resolve().parent.parent.parent
STEPS = ("cut-the-power", "replace-redis")


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "stablequeue_project.stack", "chaos", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def left_running(folder):
    """The command lines that name the folder."""
    return [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if folder in " ".join(process.info["cmdline"] or ())
    ]


@pytest.mark.timeout(400)
def test_nothing_is_lost_and_nothing_drawn_twice(tmp_path):
    report = tmp_path / "report.json"

    run = start("--seed", "1", "--failpoints", "kill9", "--report", str(report), *STEPS)
    said, _ = run.communicate()

    assert run.returncode == 0, said
    figures = json.loads(report.read_text())["figures"]
    assert figures["violations"] == 0
    assert figures["failpoints"] == {f"{failpoint} kill9": 1 for failpoint in Failpoint}
    assert figures["starts"] >= figures["jobs"]["completed"] > 0
    [folder] = re.findall(r"running in (\S+)", said)
    assert not Path(folder).exists()
    assert left_running(folder) == []


@pytest.mark.timeout(120)
def test_ctrl_c_ends_a_run_and_all_that_it_has_started():
    run = start("--seed", "1")
    with run.stdout as said:
        lines = (re.search(r"in (\S+) after", line) for line in said)
        folder = next(found[1] for found in lines if found)
    assert left_running(folder)

    run.send_signal(signal.SIGINT)
    for child in psutil.Process(run.pid).children():
        child.send_signal(signal.SIGINT)

    assert run.wait(60) == 130
    assert not Path(folder).exists()
    eventually(lambda: left_running(folder) == [], what="the end of all processes")
