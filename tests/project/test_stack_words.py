"""`./stablequeue <word>`: manage.py with the engines of the data folder."""

import signal

from stablequeue_project.stack import orphans
from stablequeue_project.stack.folder import DataFolder
from tests.project.stack_runs import run_word


def test_a_word_gets_engines_that_end_with_it(tmp_path):
    outcome = run_word("showmigrations", STABLEQUEUE_DATA=str(tmp_path))

    assert outcome.returncode == 0, outcome.stderr
    assert "events" in outcome.stdout
    assert orphans.find(DataFolder(tmp_path)) == []


def test_a_word_uses_the_engines_that_run(start_stack):
    stack = start_stack().until_ready()
    postmaster = stack.postmaster()

    outcome = run_word("showmigrations", STABLEQUEUE_DATA=str(stack.folder.path))

    assert outcome.returncode == 0, outcome.stderr
    assert stack.postmaster() == postmaster
    assert stack.stop(signal.SIGTERM) == 0


def test_a_word_that_needs_no_engines_starts_none(tmp_path):
    outcome = run_word("--version", STABLEQUEUE_DATA=str(tmp_path))

    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout.startswith("5.2")
    assert not (tmp_path / "postgres").exists()


def test_the_exit_code_of_the_command_is_ours(tmp_path):
    outcome = run_word("help", "no-such-word", STABLEQUEUE_DATA=str(tmp_path))

    assert outcome.returncode == 1
    assert "Unknown command" in outcome.stderr


def test_an_unusable_data_folder_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")

    outcome = run_word("migrate", STABLEQUEUE_DATA=str(tmp_path / "file" / "data"))

    assert outcome.returncode == 1
    assert outcome.stderr.startswith("stablequeue: The data folder")
    assert outcome.stderr.count("\n") == 1
