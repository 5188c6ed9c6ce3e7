"""Servers of each kind: on Windows and on Linux, one that hangs, one that is away."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from apikeys import registry
from servers.address import Address
from servers.models import Server
from servers.simulator import ForgeSimulator, ModelFile
from tests.callers import key_headers, send_json
from tests.factories import make_server
from tests.servers.stand_in import StandIn, stand_in

V8_SHA256 = "9f90c59f3a" + "ab" * 27
MODELS = (
    ModelFile("Pony/cyberrealisticPony_v8.safetensors", sha256=V8_SHA256, hashed=True),
    ModelFile("Pony/cyberrealisticPony_v85.safetensors"),
    ModelFile("sd_xl_base_1.0.safetensors", sha256="1234567890" + "cd" * 27, hashed=True),
    ModelFile("SDXL/model.safetensors"),
    ModelFile("Pony/model.safetensors"),
)
LORAS = (ModelFile("styles/ink_v1.safetensors"), ModelFile("fakestyle_v1.safetensors"))


@pytest.fixture(scope="session")
def windows() -> Iterator[ForgeSimulator]:
    with ForgeSimulator(MODELS, loras=LORAS, windows=True) as running:
        yield running


@pytest.fixture(scope="session")
def linux() -> Iterator[ForgeSimulator]:
    with ForgeSimulator(MODELS, loras=LORAS) as running:
        yield running


@pytest.fixture
def forge() -> Iterator[StandIn]:
    """A Forge whose answers the test decides."""
    with stand_in() as running:
        yield running


@pytest.fixture
def closed_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def impatient(settings: Any) -> None:
    """Make the time limit of a server as short as it gets: a second."""
    settings.TIME_SCALE = 0.1


@pytest.fixture
def call(client: Client, db: None) -> Callable[..., Any]:
    """Ask as an application does, with a key."""
    headers = key_headers(registry.create(name="Forge extension"))

    def ask(path: str, body: Any = None, **query: Any) -> Any:
        if body is not None:
            return send_json(client, "POST", f"/api/v1/{path}", body, **headers)
        return client.get(f"/api/v1/{path}", query, headers=headers)

    return ask


def server_at(alias: str, port: int) -> Server:
    return make_server(alias, address=Address("http", "127.0.0.1", port))


def hang(forge: StandIn, path: str) -> None:
    """Let the stand-in take a question and never answer it."""

    def wait_for_the_end(handler: BaseHTTPRequestHandler) -> None:
        forge.drawn.wait(30)

    forge.routes[path] = wait_for_the_end


@pytest.fixture
def checkpoints(settings: Any, tmp_path: Path) -> Path:
    """The folder of the checkpoints; that of the LoRAs lies beside it."""
    folder = tmp_path / "models" / "Stable-diffusion"
    loras = tmp_path / "models" / "Lora"
    for path in (folder, loras):
        path.mkdir(parents=True)
    settings.CHECKPOINT_DIRS, settings.LORA_DIRS = [folder], [loras]
    return folder


@pytest.fixture
def loras(checkpoints: Path) -> Path:
    return checkpoints.parent / "Lora"
