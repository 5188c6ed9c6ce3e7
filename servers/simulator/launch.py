"""How a simulated Forge is started: its switches, its family, what its page is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from servers.simulator.flavours import FLAVOURS, Flavour


class WrongSwitchError(ValueError):
    """A switch that does not exist, or with a value that makes no sense."""


@dataclass(frozen=True)
class Launch:
    """The switches of one start."""

    api: bool = True
    """--api. Without it there is the page only."""
    nowebui: bool = False
    """--nowebui: the API, and no page."""
    api_auth: str | None = None
    """--api-auth, as "user:password", more with commas between."""
    gradio_auth: str | None = None
    """--gradio-auth, written the same way."""
    port_flag: bool = True
    """--port. With it Forge cannot show its flags."""
    startup_seconds: float = 0.0
    """How long after its port is open its own routes are missing; extensions' twice as long."""
    flavour: str = "forge"
    """The member of Forge's family: forge, a1111 or neo."""
    page_shift: int = 0
    """By how much the numbers and places of the page's functions and inputs are moved."""
    page_without: tuple[str, ...] = ()
    """elem_ids the page lacks."""
    page_heartbeat: float = 15.0
    """Seconds between two signs of life of a stream with nothing to say."""

    def __post_init__(self) -> None:
        """Raises WrongSwitchError."""
        if self.flavour not in FLAVOURS:
            known = ", ".join(FLAVOURS)
            raise WrongSwitchError(f"There is no flavour {self.flavour!r}. There are: {known}.")
        for name in ("api_auth", "gradio_auth"):
            pairs = (getattr(self, name) or "a:b").split(",")
            if not all(":" in pair for pair in pairs):
                raise WrongSwitchError(f"{name} is written as user:password.")
        for name in ("startup_seconds", "page_shift", "page_heartbeat"):
            if getattr(self, name) < 0:
                raise WrongSwitchError(f"{name} cannot be negative.")

    @property
    def family(self) -> Flavour:
        return FLAVOURS[self.flavour]

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """The same start with other switches, from outside. Raises WrongSwitchError."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise WrongSwitchError(f"There is no switch {name!r}. There are: {list(known)}.")
            if not _fits(known[name], value, is_text="auth" in name):
                raise WrongSwitchError(f"{name} cannot be {value!r}.")
        lists = {name: tuple(it) for name, it in changes.items() if isinstance(it, list)}
        return replace(self, **{**changes, **lists})


def _fits(present: Any, value: Any, *, is_text: bool) -> bool:
    if is_text:
        return value is None or isinstance(value, str)
    if isinstance(present, bool) or isinstance(value, bool):
        return isinstance(present, bool) and isinstance(value, bool)
    if isinstance(present, tuple):
        return isinstance(value, list | tuple) and all(isinstance(it, str) for it in value)
    if isinstance(present, float):
        return isinstance(value, int | float)
    return isinstance(value, type(present))
