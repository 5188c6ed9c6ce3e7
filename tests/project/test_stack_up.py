"""`./stablequeue up` as a process, with real engines and stand-ins for the rest."""

import os
import signal
import socket

import psycopg

from stablequeue_project.stack import orphans
from stablequeue_project.stack.postgres import Postgres
from tests.project.stack_runs import ended, kill_at_once, until


def test_a_stop_goes_from_the_web_process_down_to_the_database_and_is_no_error(start_stack):
    stack = start_stack().until_ready()
    postmaster = stack.postmaster()

    stack.process.send_signal(signal.SIGTERM)
    stack.process.send_signal(signal.SIGINT)

    assert stack.until_ended() == 0
    told = [(role, what) for role, what, _ in stack.story()]
    assert told[0] == ("gate", "started")
    assert told[-2:] == [("web", "stopped"), ("worker", "stopped")]
    assert ended(postmaster)
    output = stack.output
    assert output.index("Received SIGTERM") < output.index("received fast shutdown request")


def test_each_line_stands_behind_the_name_of_its_process_and_in_its_log(start_stack):
    stack = start_stack().until_ready()

    stack.until_said("worker      | waits for work\n")
    assert f"StableQueue is ready: http://127.0.0.1:{stack.port}\n" in stack.output
    assert f"{stack.folder.path}/outputs" in stack.output
    assert "--host 0.0.0.0" in stack.output
    assert "waits for work" in (stack.folder.logs / "worker.log").read_text()


def test_a_killed_process_and_a_killed_database_come_back(start_stack):
    stack = start_stack().until_ready()
    postgres = Postgres(stack.folder)
    postmaster = stack.postmaster()

    os.kill(stack.starts("worker")[0], signal.SIGKILL)
    os.kill(postmaster, signal.SIGKILL)

    until(lambda: len(stack.starts("worker")) > 1, lambda: stack.output)
    until(lambda: ended(postmaster) and postgres.answers(), lambda: stack.output)


def test_a_process_that_never_starts_is_tried_for_ever(start_stack):
    stack = start_stack(STAND_IN_EXTRA="broken").until_ready()

    # supervisord alone would give up after the fourth.
    until(lambda: len(stack.starts("broken")) > 5, lambda: stack.output)
    assert stack.stop() == 0


def test_a_second_start_on_the_same_data_is_refused_and_names_the_first(start_stack):
    first = start_stack().until_ready()

    second = start_stack()

    assert second.until_ended() == 1
    assert f"is in use by './stablequeue up' (process {first.process.pid})" in second.output
    assert "Traceback" not in second.output
    assert first.process.poll() is None


def test_a_port_in_use_is_refused_and_names_its_holder(start_stack):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        stack = start_stack(port=taken.getsockname()[1])

        assert stack.until_ended() == 1
    assert "is in use by python" in stack.output
    assert "--port" in stack.output
    assert "Traceback" not in stack.output


def test_a_killed_supervisor_takes_its_processes_and_engines_along(start_stack):
    stack = start_stack().until_ready()

    stack.process.kill()

    until(lambda: not orphans.find(stack.folder), lambda: orphans.find(stack.folder))
    assert ended(stack.starts("worker")[0])


def test_after_a_killed_supervisor_the_next_start_works_at_once(start_stack):
    first = start_stack().until_ready()
    with psycopg.connect(Postgres(first.folder).url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept ()")

    first.process.kill()
    first.until_ended()
    second = start_stack(port=first.port).until_ready()

    with psycopg.connect(Postgres(second.folder).url()) as connection:
        connection.execute("SELECT * FROM kept")


def test_everything_killed_at_once_starts_again(start_stack):
    first = start_stack().until_ready()

    leftovers = [int(path.name) for path in orphans.find(first.folder)]
    kill_at_once(first.process.pid, *leftovers)
    first.until_ended()

    start_stack(port=first.port).until_ready()


def test_a_wrong_setting_stops_the_start_with_a_sentence(start_stack):
    stack = start_stack(STAND_IN_GATE_CODE=str(os.EX_CONFIG))

    assert stack.until_ended() == 1
    assert "A setting is wrong: see the last line of gate" in stack.output
    assert stack.starts("web") == []


def test_a_stop_during_the_start_is_no_error(start_stack):
    stack = start_stack(STAND_IN_GATE_CODE="1").until_said("Starting on")

    assert stack.stop(signal.SIGINT) == 0


def test_a_path_with_odd_characters_works(start_stack, tmp_path):
    stack = start_stack(data=tmp_path / "it's a #b ;c %d").until_ready()

    assert stack.stop() == 0
