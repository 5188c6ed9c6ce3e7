from __future__ import annotations

import pytest
from django.test import Client

from apikeys import registry
from apikeys.registry import NewKey
from stablequeue_project.stack.folder import DataFolder
from tests.project.stack_runs import StackRun


@pytest.fixture
def example_routes(settings) -> None:
    """Put the example views where ours are."""
    settings.ROOT_URLCONF = "tests.project.example_routes"


@pytest.fixture
def local_tool() -> Client:
    """A caller that is no browser and shows no key. Crashes reach it as answers."""
    return Client(raise_request_exception=False)


@pytest.fixture
def new_key(db) -> NewKey:
    """A key just made, with its secret."""
    return registry.create(name="Forge extension")


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
