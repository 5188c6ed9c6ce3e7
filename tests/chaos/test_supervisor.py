"""What is killed is started again; what is held down stays down."""

import signal
import sys

import psutil  # type: ignore[import-untyped]
import pytest

from chaos.supervisor import Supervisor
from stablequeue_project.stack.processes import Process
from tests.flows.stack import eventually

SLEEP = (sys.executable, "-c", "import time; time.sleep(600)")
PARENT = (
    sys.executable,
    "-c",
    "import subprocess, sys, time; subprocess.Popen(['sleep', '600']); time.sleep(600)",
)


@pytest.fixture
def supervisor(tmp_path):
    kept = Supervisor(tmp_path)
    kept.add([Process("one", SLEEP, order=1), Process("parent", PARENT, order=2)])
    kept.start()
    yield kept
    kept.stop()


def runs(supervisor, name, times=1):
    eventually(
        lambda: len(supervisor.started_at(name)) == times and not supervisor.missing(),
        what=f"{name} to run",
    )


def test_what_is_released_runs_and_is_started_again_when_it_is_killed(supervisor):
    supervisor.release("one")
    runs(supervisor, "one")

    assert supervisor.send("one", signal.SIGKILL)

    runs(supervisor, "one", times=2)


def test_what_is_held_stays_down_until_it_is_released(supervisor):
    supervisor.release("one")
    runs(supervisor, "one")

    supervisor.hold("one")
    supervisor.send("one", signal.SIGTERM)
    supervisor.wait_until_ended("one")

    assert supervisor.missing() == []
    supervisor.release("one")
    runs(supervisor, "one", times=2)


def test_a_power_cut_and_a_stop_leave_nobody_behind(supervisor):
    supervisor.release("parent")
    [child] = eventually(lambda: supervisor.children("parent"), what="a child")

    supervisor.power_cut("parent")

    eventually(lambda: not _lives(child), what="the child's end")
    supervisor.release("parent")
    [child] = eventually(lambda: supervisor.children("parent"), what="another child")
    supervisor.stop()
    eventually(lambda: not _lives(child), what="the other child's end")


def _lives(process_id):
    return (
        psutil.pid_exists(process_id)
        and psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    )


def test_everybody_of_a_family_can_be_frozen_and_thawed(supervisor):
    supervisor.release("parent")
    [child] = eventually(lambda: supervisor.children("parent"), what="a child")

    supervisor.send_all("parent", signal.SIGSTOP)
    eventually(lambda: psutil.Process(child).status() == "stopped", what="the frozen child")

    supervisor.send_all("parent", signal.SIGCONT)
    eventually(lambda: psutil.Process(child).status() != "stopped", what="the thawed child")
