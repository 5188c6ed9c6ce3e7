"""A Forge that needs no GPU, for tests, the demo and benchmarks. Knows no Django model."""

from servers.simulator.catalogue import ModelFile
from servers.simulator.server import ForgeSimulator

__all__ = ["ForgeSimulator", "ModelFile"]
