from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client

from apikeys import registry
from apikeys.registry import NewKey
from servers.address import Address
from servers.models import Server
from servers.simulator import ForgeSimulator, ModelFile
from tests.callers import key_headers
from tests.factories import make_server

PONY = ModelFile(
    "Pony/cyberrealisticPony_v8.safetensors", sha256="9f90c59f3a" + "ab" * 27, hashed=True
)
FLUX = ModelFile("acornIsSpinningFLUX_aisf11H8stpChinfx.safetensors")


@pytest.fixture(scope="session")
def windows() -> Iterator[ForgeSimulator]:
    """A Forge on Windows with the checkpoints of the contract's examples."""
    with ForgeSimulator((PONY, FLUX), windows=True) as running:
        yield running


@pytest.fixture
def laptop(db: None, windows: ForgeSimulator) -> Server:
    """That Forge as the server "Laptop"."""
    return make_server("Laptop", address=Address("http", "127.0.0.1", windows.port))


@pytest.fixture
def new_key(db: None) -> NewKey:
    """A key just made, with its secret."""
    return registry.create(name="Forge extension")


@pytest.fixture
def application(new_key: NewKey) -> Client:
    """A program with a key."""
    return Client(headers=key_headers(new_key))
