"""What Forge drew against what it was asked for. Pure; no Django model.

Forge falls back without a word: on another sampler or scheduler, on a size it can draw, on no
LoRA or module where it knows none of that name. Its answer shows the first ones. That a LoRA or
module is missing in it proves nothing yet: a Forge may be set to write fewer of them down.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from jobs import infotext
from servers.foreign_data import one_line, png_size
from servers.forge import Generation

_LORA = re.compile(r"<lora:([^:>\n]{1,200})[:>]")
_MODULE = re.compile(r"(?:Module \d+|VAE)")
_NO_MODULE = {"", "none", "automatic", "built in", "use same choices"}
_STEP = 8
"""Forge draws widths and heights in steps of so many pixels."""


@dataclass(frozen=True)
class Doubts:
    """Names of files that were asked for and that the answer doesn't mention."""

    loras: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


def differences(wish: Mapping[str, Any], generation: Generation) -> tuple[str, ...]:
    """Sentences on what was drawn otherwise than the body `wish` asked for."""
    told = _told(generation)
    found = (
        _sampler(wish, generation, told),
        _scheduler(wish, told),
        _seed(wish, generation),
        _size(wish, generation),
    )
    return tuple(filter(None, found))


def doubts(wish: Mapping[str, Any], generation: Generation) -> Doubts:
    """Which LoRAs and modules of `wish` the answer says nothing of."""
    told = _told(generation)
    if not told:
        return Doubts()
    asked = () if wish.get("disable_extra_networks") else _LORA.findall(str(wish.get("prompt")))
    used = {pair.partition(":")[0].strip() for pair in told.get("Lora hashes", "").split(",")}
    # Forge leaves commas out of the names it writes down.
    loras = [name.strip() for name in asked if name.strip().replace(",", "") not in used]
    named = {_stem(value) for label, value in told.items() if _MODULE.fullmatch(label)}
    modules = [name for name in _modules(wish) if _stem(name) not in named]
    return Doubts(tuple(dict.fromkeys(loras)), tuple(dict.fromkeys(modules)))


def missing(
    doubted: Doubts, *, loras: Collection[str] | None, modules: Collection[str] | None
) -> tuple[str, ...]:
    """Sentences on the doubted files that the server's own lists have not.

    A list is None if it is not known; then nothing is said.
    """
    gone = [
        f"LoRA {_quoted(name)}" for name in doubted.loras if loras is not None and name not in loras
    ]
    known = None if modules is None else {_stem(name) for name in modules}
    gone += [
        f"VAE or text encoder {_quoted(name)}"
        for name in doubted.modules
        if known is not None and _stem(name) not in known
    ]
    return tuple(f"The server has no {what}; it drew without it." for what in gone)


def _told(generation: Generation) -> Mapping[str, str]:
    """The settings in the first picture's infotext; empty if it has none."""
    try:
        return infotext.parse(generation.infotexts[0]).settings if generation.infotexts else {}
    except infotext.InfotextError:
        return {}


def _sampler(wish: Mapping[str, Any], generation: Generation, told: Mapping[str, str]) -> str:
    asked = wish.get("sampler_name") or wish.get("sampler_index")
    used = generation.info.get("sampler_name")
    if not (isinstance(asked, str) and isinstance(used, str) and asked and used):
        return ""
    name, scheduler = _plain_sampler(asked), told.get("Schedule type", "")
    plain = _plain_sampler(used)
    # The old form: "DPM++ 2M Karras" is a sampler and its scheduler.
    if name == plain or (
        name.startswith(f"{plain} ") and _same_scheduler(name[len(plain) :], scheduler)
    ):
        return ""
    return f"The sampler {_quoted(asked)} was not used: Forge took {_quoted(used)}."


def _scheduler(wish: Mapping[str, Any], told: Mapping[str, str]) -> str:
    asked, used = wish.get("scheduler"), told.get("Schedule type", "")
    if not (isinstance(asked, str) and asked and used) or _bare(asked) == "automatic":
        return ""
    if _same_scheduler(asked, used):
        return ""
    return f"The scheduler {_quoted(asked)} was not used: Forge took {_quoted(used)}."


def _seed(wish: Mapping[str, Any], generation: Generation) -> str:
    asked = wish.get("seed")
    if type(asked) is not int or asked < 0 or not generation.seeds:
        return ""
    used = generation.seeds[0]
    return "" if used == asked else f"Forge drew with the seed {used} instead of {asked}."


def _size(wish: Mapping[str, Any], generation: Generation) -> str:
    """Nothing is said where the picture's size follows from more than width and height."""
    asked: tuple[Any, Any] = wish.get("width"), wish.get("height")
    follows_from_more = wish.get("enable_hr") or wish.get("mask") or wish.get("resize_mode") == 3
    if follows_from_more or not all(type(side) is int for side in asked):
        return ""
    sizes = {png_size(picture) for picture in generation.images} - {asked}
    if not sizes:
        return ""
    width, height = min(sizes)
    sentence = f"The picture has {width} x {height} pixels instead of {asked[0]} x {asked[1]}"
    if (width, height) == (asked[0] // _STEP * _STEP, asked[1] // _STEP * _STEP):
        return f"{sentence}: Forge draws in steps of {_STEP} pixels."
    return f"{sentence}."


def _modules(wish: Mapping[str, Any]) -> list[str]:
    overrides = wish.get("override_settings") or {}
    asked = overrides.get("forge_additional_modules")
    names = [name for name in asked if isinstance(name, str)] if isinstance(asked, list) else []
    return [name for name in names if name.strip().casefold() not in _NO_MODULE]


def _plain_sampler(name: str) -> str:
    """A sampler's name as its aliases, like `k_dpmpp_2m`, spell it too."""
    plain = name.strip().casefold().removeprefix("k_").replace("_", " ")
    return plain.replace("dpmpp", "dpm++").replace("ancestral", "a")


def _same_scheduler(one: str, other: str) -> bool:
    # `ddim_uniform` is labelled DDIM.
    return _bare(one).removesuffix("uniform") == _bare(other).removesuffix("uniform")


def _bare(name: str) -> str:
    """A scheduler's label and its name differ in case, spaces and underscores."""
    return re.sub(r"[\W_]", "", name.casefold())


def _stem(name: str) -> str:
    base = re.split(r"[\\/]", name.strip())[-1].casefold()
    return re.sub(r"\.(?:safetensors|ckpt|gguf|pt|bin|sft)$", "", base)


def _quoted(name: str) -> str:
    return repr(one_line(name, 100))
