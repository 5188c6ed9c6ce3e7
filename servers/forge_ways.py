"""The two ways of talking to a Forge, as one: who draws need not know which one is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

from servers.forge import Kind, Probe
from servers.forge_replies import Checkpoint, Generation, Lora, Progress
from servers.forge_timing import Timing

Way = Literal["api", "session"]
"""Over the REST API (--api), or over the protocol of Forge's own page."""


class Forge(Protocol):
    """A Forge, however it was started. What the methods do is told by `forge.ForgeClient`."""

    address: str
    timing: Timing

    def checkpoints(self) -> tuple[Checkpoint, ...]: ...

    def loras(self) -> tuple[Lora, ...]: ...

    def modules(self) -> tuple[str, ...]: ...

    def samplers(self) -> tuple[str, ...]: ...

    def schedulers(self) -> tuple[str, ...]: ...

    def progress(
        self, task_id: str, *, preview: bool = False, preview_id: int = -1
    ) -> Progress: ...

    def is_idle_of(self, task_id: str) -> bool: ...

    def is_busy(self) -> bool: ...

    def lacks(self, body: Mapping[str, Any]) -> tuple[str, ...]: ...

    def probe(self) -> Probe: ...

    def interrupt(self, task_id: str) -> bool: ...

    def pin_options(self, keys: Iterable[str]) -> tuple[str, ...]: ...

    def generate(
        self,
        kind: Kind,
        payload: Mapping[str, Any],
        task_id: str,
        *,
        expected_images: int,
        on_progress: Callable[[Progress | None], bool],
        on_answer: Callable[[], object] = lambda: None,
        before_sending: Callable[[], object] = lambda: None,
        preview: bool = True,
    ) -> Generation: ...

    def kept_pictures(
        self, kind: Kind, task_id: str, names: Iterable[str]
    ) -> tuple[bytes, ...]: ...
