from __future__ import annotations

import pytest

from apikeys import registry
from apikeys.registry import NewKey


@pytest.fixture
def new_key(db) -> NewKey:
    """A key just made, with its secret."""
    return registry.create(name="Forge extension", description="On the laptop")
