"""What Forge's page consists of, read from its GET /config, and how its form is filled in.

Numbers of functions and the order of inputs change with versions and extensions; names of
functions (`api_name`) and of inputs (`elem_id`) hardly do. So everything is found by name.
Nothing here talks to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servers.foreign_data import parse_json, tame
from servers.forge_errors import ForgeBadReply, ForgeNotReady
from servers.forge_refusals import Reply, require_answer

TXT2IMG = "txt2img"
INTERRUPT = "interrupt_function"
RESTORE = "restore_progress"
CHECKPOINT = "checkpoint_change"

_FUNCTIONS = (TXT2IMG, INTERRUPT, RESTORE, CHECKPOINT)
_SAVES_PICTURES = "setting_samples_save"


@dataclass(frozen=True)
class Input:
    """One field of a form: what it is called, what it holds, what it may hold.

    `elem_id` is empty for one without a name; `choices` is so for one that takes anything.
    """

    elem_id: str
    kind: str
    value: Any
    choices: tuple[str, ...]


@dataclass(frozen=True)
class Function:
    """Something the page can have Forge do, by its number and with its fields in order."""

    number: int
    inputs: tuple[Input, ...]


@dataclass(frozen=True)
class Page:
    """The page of one Forge from its start to its end, which `app_id` names."""

    address: str
    app_id: str
    functions: Mapping[str, Function]
    saves_pictures: bool

    def function(self, name: str) -> Function:
        """Raises ForgeBadReply if this page has no such function."""
        if name not in self.functions:
            raise ForgeBadReply(f"The page of {self.address} has no function {name!r}.")
        return self.functions[name]

    def has_input(self, elem_id: str) -> bool:
        """Say whether the form for txt2img has a field of that name."""
        return any(entry.elem_id == elem_id for entry in self.function(TXT2IMG).inputs)

    def choices(self, elem_id: str) -> tuple[str, ...]:
        """What may be chosen in a field of the form for txt2img; () if there is no such field."""
        entries = self.function(TXT2IMG).inputs
        return next((entry.choices for entry in entries if entry.elem_id == elem_id), ())

    def checkpoints(self) -> tuple[str, ...]:
        """The titles of all checkpoints, as they were when that Forge started."""
        inputs = self.function(CHECKPOINT).inputs
        return inputs[0].choices if inputs else ()

    def filled_in(self, task: str, values: Mapping[str, Any]) -> list[Any]:
        """The form for txt2img with `values` by elem_id in it, everything else as it stands.

        The first field has no name; the page puts the id of the task there.
        """
        inputs = self.function(TXT2IMG).inputs
        if not inputs or inputs[0].elem_id or inputs[0].kind != "textbox":
            raise ForgeBadReply(f"The form on the page of {self.address} is none we know.")
        return [task, *(values.get(entry.elem_id, entry.value) for entry in inputs[1:])]


def read_page(reply: Reply) -> Page:
    """Read GET /config. Raises ForgeError; ForgeNotReady for a page that cannot draw."""
    require_answer(reply)
    try:
        config = parse_json(reply.body)
        components = {part["id"]: part for part in config["components"]}
        functions = dict(_functions(config["dependencies"], components))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ForgeBadReply(f"{reply.address} shows a page that is no Forge's.") from error
    if TXT2IMG not in functions:
        raise ForgeNotReady(f"{reply.address} shows a page that cannot draw.")
    return Page(
        address=reply.address,
        app_id=str(config.get("app_id", "")),
        functions=functions,
        saves_pictures=_value_of(_SAVES_PICTURES, components) is not False,
    )


def _functions(
    dependencies: list[dict[str, Any]], components: Mapping[Any, dict[str, Any]]
) -> list[tuple[str, Function]]:
    found: dict[str, Function] = {}
    for position, dependency in enumerate(dependencies):
        name = dependency.get("api_name")
        # Of several with one name the page numbers all but the first.
        if name in _FUNCTIONS and name not in found:
            inputs = tuple(_input(components[number]) for number in dependency["inputs"])
            found[name] = Function(dependency.get("id", position), inputs)
    return list(found.items())


def _input(component: Mapping[str, Any]) -> Input:
    props = tame(component.get("props") or {})
    kind = str(component.get("type"))
    return Input(
        elem_id=str(props.get("elem_id") or ""),
        kind=kind,
        value=None if kind == "state" else props.get("value"),
        choices=tuple(_choice(choice) for choice in props.get("choices") or ()),
    )


def _choice(choice: Any) -> str:
    """A choice is its value, or a label and a value."""
    return str(choice[-1] if isinstance(choice, list) and choice else choice)


def _value_of(elem_id: str, components: Mapping[Any, dict[str, Any]]) -> Any:
    for component in components.values():
        props = component.get("props") or {}
        if props.get("elem_id") == elem_id:
            return props.get("value")
    return None
