"""What docker-compose.yml and the Dockerfile say, as Docker would understand it."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stablequeue_project.stack.processes import CHECKOUT

COMPOSE = CHECKOUT / "docker-compose.yml"
DOCKERFILE = CHECKOUT / "Dockerfile"
ENGINES = ("postgres", "redis")
OURS = ("web", "dispatcher", "worker", "chores", "flower")
"""The services of ours that keep running."""

_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\})")


def interpolated_names() -> set[str]:
    """Return the variables that the compose file takes from .env: in texts, or as they are."""
    in_texts = {match["name"] for match in _VARIABLE.finditer(COMPOSE.read_text())} - {None}
    handed_on = {
        name
        for definition in yaml.safe_load(COMPOSE.read_text())["services"].values()
        for name, value in definition.get("environment", {}).items()
        if value is None
    }
    return in_texts | handed_on


def services(variables: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the services, with `variables` for what .env would say."""

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: resolve(value) for key, value in node.items()}
        if isinstance(node, list):
            return [resolve(item) for item in node]
        return _VARIABLE.sub(value_of, node) if isinstance(node, str) else node

    def value_of(match: re.Match[str]) -> str:
        return match["dollar"] or variables.get(match["name"]) or match["default"] or ""

    resolved: dict[str, dict[str, Any]] = resolve(yaml.safe_load(COMPOSE.read_text())["services"])
    return resolved


def networks() -> dict[str, Any]:
    """Return the networks."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["networks"]
    return found


@dataclass(frozen=True)
class Image:
    """What the Dockerfile's last stage gives to a container."""

    entrypoint: list[str]
    command: list[str]
    healthcheck: list[str]
    environment: dict[str, str]
    user: str
    copied: list[tuple[str, str]]
    """What is copied from the checkout, and to where below the working folder."""


def image() -> Image:
    """Read the Dockerfile."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [line.partition(" ") for line in text.rpartition("\nFROM ")[2].splitlines()[1:]]

    def every(word: str) -> list[str]:
        return [rest.strip() for first, _, rest in lines if first == word]

    sources = [shlex.split(rest) for rest in every("COPY") if not rest.startswith("--from=")]
    return Image(
        entrypoint=json.loads(every("ENTRYPOINT")[-1]),
        command=json.loads(every("CMD")[-1]),
        healthcheck=json.loads(every("HEALTHCHECK")[-1].partition("CMD ")[2]),
        environment=dict(word.split("=", 1) for rest in every("ENV") for word in shlex.split(rest)),
        user=every("USER")[-1],
        copied=[(source, words[-1]) for words in sources for source in words[:-1]],
    )


def let_into_the_build() -> set[str]:
    """Return what .dockerignore lets through, after it has refused all."""
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    first, *patterns = [line for line in lines if not line.startswith("#")]
    assert first == "*"
    return {pattern.removeprefix("!") for pattern in patterns if pattern.startswith("!")}


def command_of(service: dict[str, Any]) -> list[str]:
    """Return the full command: a service of ours without one takes the image's."""
    if "entrypoint" in service or "build" not in service:
        return [*service.get("entrypoint", ()), *service.get("command", ())]
    return [*image().entrypoint, *service.get("command", image().command)]


def healthcheck_of(service: dict[str, Any]) -> list[str]:
    """Return the command of the healthcheck: a service without one takes the image's."""
    if "healthcheck" not in service:
        return image().healthcheck
    kind, *command = service["healthcheck"]["test"]
    return command if kind == "CMD" else ["sh", "-c", *command]


def mounts_of(service: dict[str, Any]) -> dict[str, str]:
    """Return what is mounted where, by the path in the container."""
    mounts = {}
    for volume in service.get("volumes", ()):
        if isinstance(volume, str):
            source, target = volume.split(":")[:2]
        else:
            source, target = volume["source"], volume["target"]
        mounts[target] = Path(source).name
    return mounts
