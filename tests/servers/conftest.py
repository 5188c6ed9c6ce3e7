from __future__ import annotations

from collections.abc import Iterator

import pytest

from servers.forge import ForgeClient, Timing
from tests.servers.stand_in import StandIn, stand_in


@pytest.fixture
def forge() -> Iterator[StandIn]:
    with stand_in() as running:
        yield running


@pytest.fixture
def forge_client(forge: StandIn) -> ForgeClient:
    return ForgeClient(forge.url, timing=Timing().scaled(0.05))
