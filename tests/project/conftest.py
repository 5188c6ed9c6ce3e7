from __future__ import annotations

import pytest
from django.test import Client

from apikeys import registry
from apikeys.registry import NewKey


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
