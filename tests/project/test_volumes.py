"""The service `init`: volumes that all services can use, and passwords made once."""

import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from stablequeue_project.stack.processes import CHECKOUT, SETTINGS_UNUSABLE

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give folders away")
SECRETS = {"postgres-password", "redis-password", "flower-password", "redis.conf"}


class Volumes:
    """Folders as Docker makes them."""

    def __init__(self, folder):
        self.secrets, self.pictures, self.data = (
            folder / name for name in ("secrets", "pictures", "data")
        )
        for path in (self.secrets, self.pictures, self.data):
            path.mkdir()

    def start(self, user):
        command = [sys.executable, "-m", "stablequeue_project.stack.volumes", f"--user={user}"]
        folders = [f"--secrets={self.secrets}", f"--pictures={self.pictures}", str(self.data)]
        return subprocess.Popen(command + folders, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)

    def prepare(self, user):
        process = self.start(user)
        return process.communicate(timeout=30)[1], process.returncode

    def contents(self):
        return {path.name: path.read_text() for path in self.secrets.iterdir()}


@pytest.fixture
def volumes():
    # Not pytest's temporary folder, which is closed to other users.
    with tempfile.TemporaryDirectory(prefix="stablequeue-volumes-") as folder:
        Path(folder).chmod(0o755)
        yield Volumes(Path(folder))


@pytest.fixture
def user():
    """Who the services run as: an ordinary user, ourselves if we are one."""
    return f"{os.geteuid()}:{os.getegid()}" if os.geteuid() else "1000:100"


def owner(path):
    return f"{path.stat().st_uid}:{path.stat().st_gid}"


def test_the_passwords_are_made_and_only_the_user_can_read_them(volumes, user):
    assert volumes.prepare(user) == ("", 0)

    made = list(volumes.secrets.iterdir())
    assert {path.name for path in made} == SECRETS
    assert {(owner(path), stat.S_IMODE(path.stat().st_mode)) for path in made} == {(user, 0o600)}
    contents = volumes.contents()
    assert contents["redis.conf"] == f"requirepass {contents['redis-password']}\n"


def test_a_second_start_keeps_the_passwords(volumes, user):
    volumes.prepare(user)
    before = volumes.contents()

    assert volumes.prepare(user) == ("", 0)
    assert volumes.contents() == before


def test_starts_at_the_same_time_agree(volumes, user):
    processes = [volumes.start(user) for _ in range(5)]

    codes = [(process.communicate(timeout=60)[1], process.returncode) for process in processes]

    contents = volumes.contents()
    assert codes == [("", 0)] * 5
    assert set(contents) == SECRETS
    assert contents["redis.conf"] == f"requirepass {contents['redis-password']}\n"


@AS_ROOT
def test_another_user_later_takes_over_what_is_there(volumes):
    volumes.prepare("1000:1000")
    (volumes.data / "inputs").mkdir()
    (volumes.data / "inputs" / "a").touch()
    os.chown(volumes.pictures, 1001, 1001)

    assert volumes.prepare("1001:1001") == ("", 0)

    taken = [volumes.data, *volumes.data.rglob("*"), *volumes.secrets.iterdir()]
    assert {owner(path) for path in taken} == {"1001:1001"}


@AS_ROOT
def test_a_folder_of_pictures_that_docker_made_is_handed_over(volumes):
    assert volumes.prepare("1000:100") == ("", 0)

    assert owner(volumes.pictures) == "1000:100"


@AS_ROOT
def test_a_folder_of_pictures_that_is_somebody_elses_is_left_alone_with_advice(volumes):
    os.chown(volumes.pictures, 99, 100)

    said, code = volumes.prepare("1000:1000")

    assert code == SETTINGS_UNUSABLE
    assert "belongs to user 99 and group 100" in said
    assert "Set PUID=99 and PGID=100 in .env" in said
    assert owner(volumes.pictures) == "99:100"


@AS_ROOT
def test_nothing_may_run_as_root(volumes):
    said, code = volumes.prepare("0:0")

    assert code == SETTINGS_UNUSABLE
    assert "PUID is 0" in said
    assert volumes.contents() == {}


def test_a_damaged_password_is_not_replaced(volumes, user):
    volumes.prepare(user)
    (volumes.secrets / "redis-password").write_text("short")

    said, code = volumes.prepare(user)

    assert code == SETTINGS_UNUSABLE
    assert "Restore it from a backup" in said
    assert volumes.contents()["redis-password"] == "short"
