"""Forge's own page as data: its components, and the functions its buttons call.

Taken from a recorded GET /config, without what no client of ours needs. The numbers of
functions and components, and the place of an input in its list, change with Forge's version
and its extensions, so they can be shifted here: only elem_ids and names are to be relied on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from servers.simulator.launch import Launch

Action = Literal["txt2img", "skip", "interrupt", "checkpoint", "restore", "refresh"]

CHECKPOINT, MODULES, PRESET = 20, 21, 22
"""Components above the tabs. Their numbers are not recorded."""


@dataclass(frozen=True)
class Component:
    """One field of the page."""

    id: int
    type: str
    elem_id: str | None
    label: str | None
    value: Any = None

    def as_json(self, choices: Iterable[str] | None) -> dict[str, Any]:
        props: dict[str, Any] = {
            "label": self.label,
            "name": self.type,
            "visible": self.label is not None,
            "_selectable": False,
        }
        if self.elem_id is not None:
            props["elem_id"] = self.elem_id
        if self.value is not None:
            props["value"] = self.value
        if choices is not None:
            props["choices"] = [[choice, choice] for choice in choices]
        if self.type == "state":
            props["value"] = "kept by the page itself"
        return {"id": self.id, "type": self.type, "props": props, "skip_api": self.type == "state"}


@dataclass(frozen=True)
class PageFunction:
    """One thing the page can ask of Forge. Functions of one `line` run one at a time."""

    id: int
    api_name: str
    action: Action
    line: str
    targets: tuple[tuple[Any, str], ...]
    inputs: tuple[Component, ...] = ()
    outputs: tuple[Component, ...] = ()
    queued: bool = True


class Page:
    """The page of one start of a Forge. `choices` are what its dropdowns offer, by elem_id.

    A shift moves the numbers of all functions and components, and puts as many unknown inputs
    between the known ones, as extensions and other versions do.
    """

    def __init__(self, launch: Launch, *, choices: Mapping[str | int, list[str]]) -> None:
        recorded = json.loads((Path(__file__).parent / "gradio_page.json").read_text("utf-8"))
        self._top_level: dict[str, Any] = recorded["top_level"]
        self._details: dict[str, Any] = recorded["generate"]
        self._shift = shift = launch.page_shift
        self._flavour = flavour = launch.family
        self._choices = choices
        self.app_id = random.getrandbits(64)
        known = [Component(*row) for row in recorded["inputs"] if row[2] not in launch.page_without]
        added = [
            Component(100_000 + number, "checkbox", None, "An extension's", False)
            for number in range(shift)
        ]
        self.inputs = (known[0], *known[1:3], *added, *known[3:])
        self.own_values = {str(row[2]): row[4] for row in recorded["inputs"] if row[2]}
        """What each input holds until somebody changes it, by elem_id; also of missing ones."""
        self.outputs = tuple(
            Component(number, kind, elem_id, None) for number, kind, elem_id in recorded["outputs"]
        )
        elem_ids = flavour.checkpoint_elem_id, flavour.modules_elem_id
        self._checkpoint = Component(CHECKPOINT, "dropdown", elem_ids[0], "Checkpoint")
        self._modules = Component(MODULES, "dropdown", elem_ids[1], "VAE / Text Encoder", [])
        self._preset = Component(PRESET, "dropdown", "forge_ui_preset", "UI Preset", "sd")
        self.functions = {it.id: it for it in self._functions(recorded["stops"])}

    def named(self, api_name: str) -> PageFunction | None:
        return next((it for it in self.functions.values() if it.api_name == api_name), None)

    def _functions(self, stops: list[tuple[int, str, str]]) -> list[PageFunction]:
        """All that is known of the page, in the order of their numbers.

        Of those not recorded (the refresh, the second way to start, the restoring), names and
        order follow from modules/ui.py and modules_forge/main_entry.py of Forge.
        """
        lists = self._checkpoint, self._modules
        with_preset = self._flavour.checkpoint_goes_with_preset
        selecting = (self._checkpoint, self._preset) if with_preset else lists[:1]
        generate = {"inputs": self.inputs, "outputs": self.outputs}
        found = [
            self._function(
                2,
                self._flavour.refresh_function,
                "refresh",
                "forge_refresh_checkpoint",
                outputs=lists,
                queued=False,
            ),
            self._function(
                8,
                "checkpoint_change",
                "checkpoint",
                CHECKPOINT,
                inputs=selecting,
                queued=not with_preset,
            ),
            self._function(255, "txt2img", "txt2img", 5, **generate),
            self._function(256, "txt2img_1", "txt2img", "txt2img_generate", **generate),
            self._function(
                259,
                "restore_progress",
                "restore",
                "txt2img_restore_progress",
                inputs=self.inputs[:1],
                outputs=self.outputs,
            ),
        ]
        for number, name, target in stops:
            action: Action = "skip" if name.startswith("skip") else "interrupt"
            found.append(self._function(number, name, action, target))
        return sorted(found, key=lambda it: it.id)

    def _function(
        self, number: int, name: str, action: Action, target: Any, **more: Any
    ) -> PageFunction:
        event = {"txt2img": "submit", "checkpoint_change": "change"}.get(name, "click")
        line = action if action in ("txt2img", "restore") else name
        return PageFunction(number + self._shift, name, action, line, ((target, event),), **more)

    def config(self, root: str, username: str | None) -> dict[str, Any]:
        """The answer of GET /config."""
        above = self._checkpoint, self._modules, self._preset
        shown = {it.id: it for it in (*self.inputs, *self.outputs, *above)}
        top_level = dict(self._top_level)
        if not self._flavour.functions_have_ids:
            del top_level["protocol"]
        return {
            **top_level,
            "version": self._flavour.page_version,
            "app_id": self.app_id,
            "components": [self._as_json(it) for it in shown.values()],
            "css": None,
            "js": "",
            "head": "",
            "stylesheets": [],
            "body_css": {},
            "layout": {"id": 0, "children": []},
            "dependencies": [self._dependency(it) for it in self.functions.values()],
            "root": root,
            "username": username,
        }

    def _as_json(self, component: Component) -> dict[str, Any]:
        choices = self._choices.get(component.id, self._choices.get(component.elem_id or ""))
        shown = component.as_json(choices)
        return {**shown, "id": self._number(component)}

    def _number(self, component: Component) -> int:
        return component.id + self._shift

    def _dependency(self, function: PageFunction) -> dict[str, Any]:
        numbered = {"id": function.id} if self._flavour.functions_have_ids else {}
        return {
            **numbered,
            "targets": [[self._target(target), event] for target, event in function.targets],
            "inputs": [self._number(it) for it in function.inputs],
            "outputs": [self._number(it) for it in function.outputs],
            **self._details,
            "queue": function.queued,
            "api_name": function.api_name,
        }

    def _target(self, target: Any) -> Any:
        return target + self._shift if isinstance(target, int) else target
