"""The installation's key is made once, whoever comes first."""

import os
import stat
import subprocess
import sys

import pytest
from django.core.exceptions import ImproperlyConfigured

from stablequeue_project.secret_key import load_or_create
from stablequeue_project.stack.processes import CHECKOUT

_LOAD = """
import pathlib, sys
from stablequeue_project.secret_key import load_or_create
sys.stdin.readline()
sys.stdout.write(load_or_create(pathlib.Path(sys.argv[1])))
"""


def test_fifty_processes_that_start_at_once_get_one_key(tmp_path):
    gate, opener = os.pipe()
    command = [sys.executable, "-c", _LOAD, str(tmp_path / "data")]
    processes = [
        subprocess.Popen(command, cwd=CHECKOUT, stdin=gate, stdout=subprocess.PIPE, text=True)
        for _ in range(50)
    ]
    os.close(gate)
    os.close(opener)

    keys = [process.communicate(timeout=60)[0] for process in processes]

    assert len(set(keys)) == 1
    assert len(keys[0]) >= 32
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_the_key_is_kept_and_only_its_owner_can_read_it(tmp_path):
    key = load_or_create(tmp_path)

    assert load_or_create(tmp_path) == key
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_a_damaged_key_stops_the_start_and_is_not_replaced(tmp_path):
    (tmp_path / "secret.key").write_text("short")

    with pytest.raises(ImproperlyConfigured, match="Restore it from a backup"):
        load_or_create(tmp_path)
    assert (tmp_path / "secret.key").read_text() == "short"


def test_a_folder_that_cannot_be_written_stops_the_start_with_advice(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(ImproperlyConfigured, match="name another with STABLEQUEUE_DATA"):
        load_or_create(tmp_path / "file" / "data")
