"""`./stablequeue demo` as a process, with everything real but the GPUs."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from stablequeue_project.stack import ports
from stablequeue_project.stack.processes import CHECKOUT
from tests.project.stack_runs import until

PICTURES = 9


class DemoRun:
    """One demo on a data folder, with its output in a file."""

    def __init__(self, data, *options, port=None):
        self._log = data.with_name(f"{time.monotonic_ns()}.log")
        command = [sys.executable, "-m", "stablequeue_project.stack", "demo", "--data", str(data)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(port or ports.free_port()), *options],
                cwd=CHECKOUT,
                stdout=log,
                stderr=log,
            )

    @property
    def output(self):
        return self._log.read_text()

    def until_said(self, text):
        until(lambda: text in self.output or self.process.poll() is not None, lambda: self.output)
        assert text in self.output


@pytest.fixture
def start_demo(tmp_path):
    runs = []

    def start(*options, **places):
        runs.append(DemoRun(tmp_path / "with space", *options, **places))
        return runs[-1]

    yield start
    for run in runs:
        run.process.terminate()
        run.process.wait(40)


def test_it_ends_with_0_once_all_pictures_are_there_and_can_be_run_again(start_demo, tmp_path):
    pictures = tmp_path / "with space" / "outputs"

    first = start_demo("--exit", "--seconds", "0.2")
    assert first.process.wait(90) == 0, first.output
    assert len([*pictures.glob("*.png")]) == PICTURES
    second = start_demo("--exit", "--seconds", "0.2")
    assert second.process.wait(90) == 0, second.output

    assert len([*pictures.glob("*.png")]) == 2 * PICTURES
    assert f"Pictures are kept in: {pictures}" in second.output
    assert "Astronaut with a violin: done by Demo Cellar" in second.output
    assert "\x1b" not in second.output
    assert "WARNING" not in second.output


def test_a_stop_before_the_pictures_are_there_is_no_success(start_demo):
    demo = start_demo("--exit", "--seconds", "20")
    demo.until_said("8 jobs were sent")

    demo.process.send_signal(signal.SIGTERM)

    assert demo.process.wait(40) == 1
    assert demo.output.endswith("| Stopped.\n")
    assert "cannot go on" not in demo.output


def test_a_port_in_use_is_refused_in_a_sentence(start_demo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        demo = start_demo(port=taken.getsockname()[1])

        assert demo.process.wait(40) == 1
    assert "./stablequeue demo --port" in demo.output
    assert "Traceback" not in demo.output
