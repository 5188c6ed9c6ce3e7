"""Forge's options: defaults, what is in its config file, and the overrides of one job.

After a job Forge restores only those overridden options that its config data already
held. Any other one keeps the job's value for everybody, until someone sets it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from servers.simulator.errors import RunError


class Options:
    """The options of one server. Reading takes the config data first, then the default."""

    def __init__(self, defaults: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        self._defaults = dict(defaults)
        self._data = dict(data)
        self.saved = dict(data)
        """What its config file holds: the config data as of the last POST to /options."""

    def __getitem__(self, key: str) -> Any:
        return self._data[key] if key in self._data else self._defaults[key]

    def everything(self) -> dict[str, Any]:
        return {**self._defaults, **self._data}

    def set(self, changes: Mapping[str, Any]) -> None:
        """Write `changes` one after the other. Raises RunError at the first unknown key."""
        for key, value in changes.items():
            if key not in self._defaults and key not in self._data:
                raise RunError("KeyError", repr(key))
            self._data = {**self._data, key: self._like_default(key, value)}

    def save(self) -> None:
        """Write the config file."""
        self.saved = dict(self._data)

    @contextmanager
    def overridden(self, overrides: Mapping[str, Any], *, restore: bool) -> Iterator[None]:
        """Apply a job's overrides; give back afterwards what the config data held before."""
        before = {key: self._data[key] for key in overrides if key in self._data}
        try:
            self.set(overrides)
            yield
        finally:
            if restore:
                self._data = {**self._data, **before}

    def _like_default(self, key: str, value: Any) -> Any:
        """Numbers of sliders are shown as floats whatever was sent."""
        default = self._defaults.get(key)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        return float(value) if isinstance(default, float) and is_number else value
