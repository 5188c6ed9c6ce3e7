"""`docker compose up` without Docker: each service as it stands in the file, as a process.

Replaced are what Docker itself would provide: the image is a folder with what the
Dockerfile copies and a venv of requirements.txt alone, a volume is a folder, a host or
port inside the containers' network is one of this machine. PostgreSQL is the suite's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import psycopg
import requests

from stablequeue_project.secret_files import POSTGRES_PASSWORD, write_once
from stablequeue_project.stack import ports
from stablequeue_project.stack.privileges import CAP_DAC_READ_SEARCH, User
from stablequeue_project.stack.processes import CHECKOUT, Process
from stablequeue_project.stack.redis import program as redis_program
from tests.flows.stack import eventually
from tests.project import compose_file

_ORDINARY = 1000


class ComposeRun:
    """All services of docker-compose.yml, except postgres. A context manager."""

    def __init__(self) -> None:
        self.uid, self.gid = (os.geteuid(), os.getegid()) if os.geteuid() else (_ORDINARY,) * 2
        variables = {"PUID": str(self.uid), "PGID": str(self.gid)}
        self._services = compose_file.services(variables)
        # Not pytest's temporary folder, which is closed to the user of the services.
        self._base = Path(tempfile.mkdtemp(prefix="stablequeue-compose-"))
        self._ports = {name: ports.free_port() for name in ("8083", "5555", "6379")}
        self._database = f"compose_{uuid.uuid4().hex[:12]}"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.url = f"http://127.0.0.1:{self._ports['8083']}"
        self.flower_url = f"http://127.0.0.1:{self._ports['5555']}"

    def __enter__(self) -> ComposeRun:
        try:
            self._start()
        except BaseException:
            self._clean_up()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        deaf = self._stop()
        self._clean_up()
        assert deaf == [], "these had to be killed"

    def volume(self, name: str) -> Path:
        """Return the folder that stands for a volume, or for a folder of the owner's."""
        return self._base / "volumes" / name

    def healthcheck(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run the healthcheck of a service in its environment."""
        command = compose_file.healthcheck_of(self._services[name])
        return subprocess.run(
            self._as_user_of(name, self._replaced(name, command)),
            env=self._environment(name),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def execute(self, name: str, *command: str, **streams: Any) -> subprocess.CompletedProcess[str]:
        """Run a command in a running service, as `docker compose exec -T` does."""
        return self._run(name, [*command], self._environment(name), **streams)

    def run_anew(
        self, name: str, *command: str, database: str, **streams: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a service once with another command and database, as `docker compose run -T` does."""
        entrypoint = self._services[name].get("entrypoint", compose_file.image().entrypoint)
        environment = self._environment(name)
        environment["DATABASE_URL"] = environment["DATABASE_URL"].replace(self._database, database)
        return self._run(name, [*entrypoint, *command], environment, **streams)

    @contextlib.contextmanager
    def another_database(self) -> Iterator[str]:
        """Make an empty database beside that of the services; returns its name."""
        name = f"{self._database}_2"
        with self._administrator() as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
            yield name
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _run(
        self, name: str, command: list[str], environment: dict[str, str], **streams: Any
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._as_user_of(name, self._replaced(name, command)),
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            **streams,
        )

    def log(self, name: str) -> str:
        """Return the last that a service said."""
        return (self._base / f"{name}.log").read_text()[-3000:]

    def command_lines(self) -> list[str]:
        """Return what anybody on the machine can read about the processes of all services."""
        return [
            " ".join(process.cmdline())
            for started in self._processes.values()
            for process in (
                psutil.Process(started.pid),
                *psutil.Process(started.pid).children(recursive=True),
            )
        ]

    # --- up ----------------------------------------------------------------------------

    def _start(self) -> None:
        self._base.chmod(0o755)
        self._make_image()
        self._make_volumes()
        self._spawn("init")
        assert self._processes.pop("init").wait(60) == 0, self.log("init")
        with self._administrator() as connection:
            connection.execute(f'CREATE DATABASE "{self._database}"')
        for name in ("redis", *compose_file.OURS):
            self._spawn(name)
        eventually(self._is_up, seconds=90, what="the services")

    def _make_image(self) -> None:
        app = self._base / "app"
        app.mkdir()
        for source, target in compose_file.image().copied:
            if (CHECKOUT / source).is_dir():
                shutil.copytree(CHECKOUT / source, app / target)
            else:
                shutil.copy(CHECKOUT / source, app / target)
        self._venv = _venv()

    def _make_volumes(self) -> None:
        """As root makes them, if we are root."""
        for service in self._services.values():
            for source in compose_file.mounts_of(service).values():
                self.volume(source).mkdir(parents=True, exist_ok=True)
        for name in self._services:
            self.volume(f"tmpfs-{name}").mkdir()
            self.volume(f"tmpfs-{name}").chmod(0o1777)
        # The suite's PostgreSQL has its password already.
        if password := urlsplit(os.environ["DATABASE_URL"]).password:
            write_once(self.volume("secrets") / POSTGRES_PASSWORD, password)

    def _spawn(self, name: str) -> None:
        command = self._replaced(name, compose_file.command_of(self._services[name]))
        with (self._base / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                self._as_user_of(name, command),
                env=self._environment(name),
                stdout=log,
                stderr=log,
            )

    def _as_user_of(self, name: str, command: list[str]) -> list[str]:
        """Return a command that runs in the image's folder and writes only what its user may.

        Reading is left free: our Python may lie in a folder that is closed to others.
        """
        user = User(*map(int, self._services[name]["user"].split(":")))
        process = Process(name, tuple(command), order=0, folder=self._base / "app")
        if os.geteuid() == 0 and user.uid != 0:
            process = replace(process, user=user, capability=CAP_DAC_READ_SEARCH)
        return process.command_line()

    def _environment(self, name: str) -> dict[str, str]:
        """Return what a process of this service is given, and nothing of our own."""
        service = self._services[name]
        environment = {
            variable: self._replaced(name, [value])[0]
            for variable, value in service.get("environment", {}).items()
            if value is not None
        }
        if "DATABASE_URL" in environment:
            environment["DATABASE_URL"] = self._database_url()
        environment |= compose_file.image().environment
        environment["PATH"] = f"{self._venv / 'bin'}:{Path(redis_program()).parent}:/usr/bin:/bin"
        return environment

    def _replaced(self, name: str, texts: list[str]) -> list[str]:
        """Put what is on this machine in the place of what is in the containers."""
        service = self._services[name]
        changes = {"redis:6379": f"127.0.0.1:{self._ports['6379']}", "0.0.0.0": "127.0.0.1"}
        changes |= {port: str(here) for port, here in self._ports.items()}
        for target, source in compose_file.mounts_of(service).items():
            changes[target] = str(self.volume(source))
        changes |= {target: str(self.volume(f"tmpfs-{name}")) for target in service["tmpfs"]}
        pattern = re.compile("|".join(re.escape(old) for old in changes))
        replaced = [pattern.sub(lambda match: changes[match[0]], text) for text in texts]
        if replaced[0] == "redis-server":
            here = ["--port", str(self._ports["6379"]), "--dir", str(self.volume("redis"))]
            return [redis_program(), *replaced[1:], "--bind", "127.0.0.1", *here]
        return replaced

    def _database_url(self) -> str:
        """Without the password: it is in the volume."""
        parts = urlsplit(os.environ["DATABASE_URL"])
        return f"postgres://{parts.username}@{parts.hostname}:{parts.port}/{self._database}"

    def _is_up(self) -> bool:
        for name, process in self._processes.items():
            assert process.poll() is None, f"{name} ended:\n{self.log(name)}"
        with contextlib.suppress(requests.RequestException):
            pages = (f"{self.url}/status", f"{self.flower_url}/healthcheck")
            return all(requests.get(page, timeout=5).status_code == 200 for page in pages)
        return False

    # --- down --------------------------------------------------------------------------

    def _stop(self) -> list[str]:
        """End all by TERM, as Docker does; return who did not listen within the grace."""
        for name in compose_file.OURS:
            self._processes[name].send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 45
        deaf = []
        for name in compose_file.OURS:
            try:
                self._processes[name].wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                deaf.append(name)
        return deaf

    def _clean_up(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        with self._administrator() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{self._database}" WITH (FORCE)')
        shutil.rmtree(self._base)

    @contextlib.contextmanager
    def _administrator(self) -> Any:
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            yield connection


def _venv() -> Path:
    """Return a venv that holds requirements.txt alone; made once per version of that file."""
    wanted = (CHECKOUT / "requirements.txt").read_bytes() + sys.version.encode()
    key = hashlib.sha256(wanted).hexdigest()[:16]
    venv = Path(tempfile.gettempdir()) / f"stablequeue-venv-{os.geteuid()}-{key}"
    if venv.exists():
        assert venv.stat().st_uid == os.geteuid(), f"{venv} is somebody else's"
        return venv
    draft = Path(tempfile.mkdtemp(prefix=f"{venv.name}-"))
    pip = [sys.executable, "-m", "pip", "--python", str(draft / "bin" / "python"), "install"]
    options = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", "--clear", str(draft)],
        [*pip, *options, "-r", str(CHECKOUT / "requirements.txt")],
    ):
        made = subprocess.run(command, umask=0o022, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-3000:]
    draft.chmod(0o755)
    with contextlib.suppress(OSError):
        draft.rename(venv)
    return venv
