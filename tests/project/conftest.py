import pytest

from stablequeue_project.stack.folder import DataFolder
from tests.project.stack_runs import StackRun


@pytest.fixture
def start_stack(tmp_path):
    """Start `up` with stand-ins, by default on `<tmp>/data`; all are stopped afterwards."""
    runs = []

    def start(*arguments, data=tmp_path / "data", **options):
        runs.append(StackRun(data, *arguments, **options))
        return runs[-1]

    yield start
    for run in runs:
        run.stop()


@pytest.fixture
def folder(tmp_path):
    made = DataFolder(tmp_path / "data")
    made.prepare()
    return made
