"""A whole StableQueue for the stories of this folder: `up` with real processes, and a Forge."""

from __future__ import annotations

import pytest

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import OwnRedis, Stack


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory):
    with OwnRedis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory, own_redis):
    with Stack(tmp_path_factory.mktemp("flows") / "data", redis_url=own_redis.url) as stack:
        yield stack


@pytest.fixture
def stack(running_stack):
    """The stack that all stories share; each brings servers of its own."""
    running_stack.wait_until_ready()
    yield running_stack
    # Else their absence is watched, several times a second, until the whole suite ends.
    running_stack.remove_servers()


@pytest.fixture
def forge():
    """A Forge that draws in a third of a second."""
    with ForgeSimulator(seconds=0.3) as simulator:
        yield simulator
