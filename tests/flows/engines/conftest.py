"""One laboratory for the stories of this folder; each leaves it well for the next."""

from __future__ import annotations

import pytest

from tests.flows.engines.lab import laboratory


@pytest.fixture(scope="package")
def running_lab(tmp_path_factory):
    with laboratory(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def lab(running_lab):
    running_lab.wait_until_ready()
    yield running_lab
    running_lab.network.heal()
    running_lab.wait_until_ready()
    running_lab.remove_servers()
