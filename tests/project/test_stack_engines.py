"""The embedded engines, each test on a folder of its own."""

import contextlib
import os
import signal
import socket
import stat
import subprocess

import psycopg
import pytest
import redis

from stablequeue_project.stack import engines, orphans, privileges
from stablequeue_project.stack.errors import StackError
from stablequeue_project.stack.folder import DataFolder, refreshed
from stablequeue_project.stack.postgres import Postgres
from stablequeue_project.stack.redis import Redis
from tests.project.stack_runs import kill_at_once, until


@contextlib.contextmanager
def running(engine, folder):
    engines.prepare(folder, [engine])
    with engines.running(folder, [engine]):
        yield engine


def database(folder):
    return Postgres(folder, durable=False)


def sql(engine, statement):
    with psycopg.connect(engine.url(), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else None


def test_postgres_keeps_its_rows_over_a_stop_and_even_over_a_kill(folder):
    with running(database(folder), folder) as postgres:
        sql(postgres, "CREATE TABLE kept AS SELECT 1 AS number")

    with running(database(folder), folder) as postgres:
        sql(postgres, "INSERT INTO kept VALUES (2)")
        kill_at_once(*(int(process.name) for process in orphans.find(folder)))
        until(lambda: not postgres.answers(), lambda: "the kill")

    with running(database(folder), folder) as postgres:
        assert sql(postgres, "SELECT number FROM kept ORDER BY 1") == [(1,), (2,)]
    assert orphans.find(folder) == []


def test_postgres_is_version_18_durable_and_in_unicode_order(folder):
    with running(Postgres(folder), folder) as postgres:
        shown = {
            name: sql(postgres, f"SHOW {name}")[0][0]
            for name in ("server_version", "fsync", "synchronous_commit", "server_encoding")
        }

        assert shown.pop("server_version").startswith("18.")
        assert shown == {"fsync": "on", "synchronous_commit": "on", "server_encoding": "UTF8"}
        assert sql(postgres, "SELECT upper('ä'), rolsuper FROM pg_roles WHERE rolname = user") == [
            ("Ä", False)
        ]


def test_engines_refuse_a_wrong_password(folder):
    ours = [database(folder), Redis(folder, durable=False)]
    engines.prepare(folder, ours)

    with engines.running(folder, ours):
        wrong = {engine.name: _with_wrong_password(folder, engine) for engine in ours}
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong["postgres"])
        with pytest.raises(redis.AuthenticationError), redis.from_url(wrong["redis"]) as client:
            client.ping()


def _with_wrong_password(folder, engine):
    return engine.url().replace(folder.account(engine.name).password, "wrong")


def test_redis_keeps_its_keys_over_a_stop(folder):
    with running(Redis(folder), folder) as first, redis.from_url(first.url()) as client:
        client.set("name", "value")

    with running(Redis(folder), folder) as second, redis.from_url(second.url()) as client:
        assert client.get("name") == b"value"


def test_a_database_whose_making_was_interrupted_is_made_again(folder):
    draft = folder.path / "postgres.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")

    with running(database(folder), folder) as postgres:
        assert postgres.answers()
    assert not draft.exists()


def test_engines_run_under_a_long_path_with_odd_characters(tmp_path):
    folder = DataFolder(tmp_path / f'it\'s a #b ;c %d "e" {"long" * 25}' / "data")
    folder.prepare()
    ours = [database(folder), Redis(folder, durable=False)]
    engines.prepare(folder, ours)

    with engines.running(folder, ours):
        assert all(engine.answers() for engine in ours)


def test_postgres_runs_below_a_folder_that_only_we_may_enter_and_leaves_it_closed(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    folder = DataFolder(closed / "data")
    folder.prepare()

    with running(database(folder), folder) as postgres:
        assert sql(postgres, "SELECT 1") == [(1,)]
        owner = folder.postgres.stat().st_uid
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    # As root the database belongs to somebody else, since PostgreSQL refuses to be root.
    assert (owner == os.geteuid()) == (os.geteuid() != 0)


def test_a_lost_password_is_replaced(folder):
    with running(database(folder), folder) as postgres:
        sql(postgres, "CREATE TABLE kept AS SELECT 1 AS number")
    (folder.run / "engines.json").unlink()

    with running(database(folder), folder) as postgres:
        assert sql(postgres, "SELECT number FROM kept") == [(1,)]


def test_a_stale_process_id_that_another_program_has_now_does_no_harm(folder):
    with running(database(folder), folder):
        pass
    # Of the same user, or PostgreSQL would see by itself that it is no PostgreSQL.
    owner = folder.postgres.stat().st_uid if os.geteuid() == 0 else None
    other = subprocess.Popen(["sleep", "60"], user=owner)
    (folder.postgres / "postmaster.pid").write_text(f"{other.pid}\n{folder.postgres}\n")

    with running(database(folder), folder) as postgres:
        assert postgres.answers()
    other.kill()
    other.wait()


def test_a_process_left_by_an_earlier_stack_is_ended_and_a_strangers_is_not(folder):
    mine = {**os.environ, orphans.MARK: str(folder.path)}
    other = {**os.environ, orphans.MARK: f"{folder.path}-of-another"}
    left = subprocess.Popen(["sleep", "60"], env=mine)
    stranger = subprocess.Popen(["sleep", "60"], env=other)

    orphans.end_all(folder)

    assert left.wait(timeout=10) == -signal.SIGTERM
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_database_of_another_version_is_refused_with_advice(folder):
    folder.postgres.mkdir()
    (folder.postgres / "PG_VERSION").write_text("17\n")

    with pytest.raises(StackError, match="made by PostgreSQL 17, and this is 18") as refusal:
        database(folder).prepare()
    assert refusal.value.code == "DATABASE_OF_ANOTHER_VERSION"


def test_an_engine_keeps_its_port_unless_somebody_else_took_it():
    account = refreshed(None)

    assert refreshed(account) == account
    with socket.create_server(("127.0.0.1", account.port)):
        moved = refreshed(account)
    assert moved.port != account.port
    assert moved.password == account.password


def test_passwords_are_readable_by_their_owner_only_and_never_shown(folder):
    account = refreshed(None)
    folder.remember("postgres", account)
    Redis(folder).prepare()

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.run.iterdir()}
    assert modes == {"engines.json": 0o600, "redis.conf": 0o600}
    assert account.password not in repr(account)
    assert account.password not in " ".join(Redis(folder).process().command)


@pytest.mark.parametrize("named", ["DATABASE_URL", "REDIS_URL"])
def test_an_engine_the_environment_names_is_not_ours_to_run(folder, monkeypatch, named):
    for variable in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.setenv(variable, "somewhere" if variable == named else "")

    assert named not in [engine.variable for engine in engines.embedded(folder)]
    assert len(engines.embedded(folder)) == 1


def test_a_data_folder_that_cannot_be_made_is_refused_with_advice(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(StackError, match="name another with --data"):
        DataFolder(tmp_path / "file" / "data").prepare()


def test_the_engine_user_is_nobody_special_and_never_root(tmp_path, monkeypatch):
    monkeypatch.setenv("SUDO_UID", "0")
    monkeypatch.setenv("SUDO_GID", "0")

    user = privileges.engine_user(tmp_path / "none", tmp_path)
    assert (user is None) == (os.geteuid() != 0)
    assert user is None or user.uid != 0
