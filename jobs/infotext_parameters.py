"""From an infotext to the parameters of a job, and back. Pure; no Django model.

The number of pictures is not taken over: an infotext describes one picture, with its own seed,
even if it was drawn in a batch.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs import payload
from jobs.infotext import Infotext
from jobs.infotext_fields import (
    FIELDS,
    HIRES_FIELDS,
    MAX_CHECKPOINT,
    MAX_PROMPT,
    OVERRIDES,
    SCHEDULERS,
    SIDE,
    SIZES,
    Choice,
    Kind,
    Name,
    Sides,
    Unreadable,
    Whole,
    Words,
)

_MAX_MODULES = 16
_MAX_SHOWN = 60
_MEANS_NOTHING = ("", "None", "none")
_INHERITED = "Use same "
_LONGEST_HASH = len(" []") + 64
_MODULE = re.compile(r"(hires )?module [0-9]{1,3}")
_HASH = re.compile(r"[0-9a-f]{8}|[0-9a-f]{10}|[0-9a-f]{64}")
_HASH_OF_MODEL = re.compile(r"""["']model["']\s*:\s*["'](?:0x)?([0-9a-fA-F]{8,64})["']""")


@dataclass(frozen=True)
class Reading:
    """`generation_params`, and a sentence for each setting that could not be taken over."""

    parameters: dict[str, Any]
    warnings: tuple[str, ...] = ()


# --- from an infotext ----------------------------------------------------------------


def to_parameters(infotext: Infotext) -> Reading:
    """What to ask for to get such a picture. Keys are found in any case.

    A value that is unreadable or out of bounds is left out with a warning, and so are names
    that say nothing ("None", "Use same sampler"), without one. What we know no parameter for
    is passed over. The checkpoint reads `name [hash]`, or is the hash alone.
    """
    reader = _Reader(infotext.settings)
    reader.take("positive_prompt", "Prompt", Words(MAX_PROMPT), infotext.prompt)
    reader.take("negative_prompt", "Negative prompt", Words(MAX_PROMPT), infotext.negative_prompt)
    reader.read()
    return Reading(reader.parameters, tuple(reader.warnings))


class _Reader:
    """Collects parameters and warnings from the settings of one infotext."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.parameters: dict[str, Any] = {}
        self.warnings: list[str] = []
        self._overrides: dict[str, Any] = {}
        self._said = {key.casefold(): value.strip() for key, value in settings.items()}
        if _is_flux_of_civitai(settings):
            _repair_flux(self._said)

    def read(self) -> None:
        self._read_sampling("Sampler", "Schedule type")
        self._read_sampling("Hires sampler", "Hires schedule type")
        for field in (*FIELDS, *HIRES_FIELDS):
            self.take(field.name, field.label, field.kind)
        self._read_sizes()
        self._read_checkpoint()
        for field in OVERRIDES:
            self.take(field.name, field.label, field.kind, into=self._overrides)
        self._read_modules()
        if "face_restoration_model" in self._overrides:
            self.parameters["restore_faces"] = True
        if self._overrides:
            self.parameters["override_settings"] = self._overrides
        second_pass = ("hr_scale", "hr_upscaler", "hr_resize_x")
        if "denoising_strength" in self.parameters and any(
            self.parameters.get(name) for name in second_pass
        ):
            self.parameters["enable_hr"] = True

    def take(
        self,
        name: str,
        label: str,
        kind: Kind,
        text: str | None = None,
        into: dict[str, Any] | None = None,
    ) -> None:
        """Put what `label` says, or `text`, under `name`."""
        if text is None:
            text = self._said.get(label.casefold(), "")
        if _says_nothing(text, kind):
            return
        try:
            (self.parameters if into is None else into)[name] = kind.read(text)
        except Unreadable:
            self._warn(label, text, kind.expected)

    def _warn(self, label: str, text: str, expected: str) -> None:
        shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"
        self.warnings.append(f"{label} {shown!r} was left out: it must be {expected}.")

    def _read_sampling(self, sampler_label: str, schedule_label: str) -> None:
        """Part the name of a sampler from the scheduler that WebUIs before 1.9 wrote with it."""
        said = self._said.get(sampler_label.casefold(), "")
        if said == "Undefined":
            del self._said[sampler_label.casefold()]
            self._warn(sampler_label, said, "a sampler's name")
        if self._said.get(schedule_label.casefold(), "Automatic") != "Automatic":
            return
        for scheduler in SCHEDULERS:
            if said.casefold().endswith(f" {scheduler.casefold()}"):
                self._said[sampler_label.casefold()] = said[: -len(scheduler)].rstrip()
                self._said[schedule_label.casefold()] = scheduler
                return

    def _read_sizes(self) -> None:
        for sides in SIZES:
            self._take_sides(sides)
        first = _lengths(self._said.get("first pass size", ""), Whole(0, SIDE.high))
        if first and "width" in self.parameters:
            self._read_first_pass(*first)

    def _take_sides(self, sides: Sides) -> None:
        text = self._said.get(sides.label.casefold(), "")
        if text in _MEANS_NOTHING:
            return
        if lengths := _lengths(text, sides.kind):
            self.parameters[sides.wide], self.parameters[sides.high] = lengths
        else:
            self._warn(sides.label, text, f"WxH, each {sides.kind.expected}")

    def _read_first_pass(self, width: int, height: int) -> None:
        """Old WebUIs told the final size, and that of the first pass; 0x0 left that to them."""
        final = self.parameters["width"], self.parameters["height"]
        if width == 0 or height == 0:
            width, height = _old_first_pass(*final)
        if min(width, height) >= SIDE.low and max(width, height) <= SIDE.high:
            self.parameters |= {"width": width, "height": height}
            self.parameters |= {"hr_resize_x": final[0], "hr_resize_y": final[1]}

    def _read_checkpoint(self) -> None:
        names: dict[str, Any] = {}
        self.take("model", "Model", Name(MAX_CHECKPOINT - _LONGEST_HASH), into=names)
        digest = self._said.get("model hash", "").lower().removeprefix("0x")
        if not digest and (found := _HASH_OF_MODEL.search(self._said.get("hashes", ""))):
            digest = found[1].lower()
        if digest and not _HASH.fullmatch(digest):
            self._warn("Model hash", digest, "8, 10 or 64 hexadecimal digits")
            digest = ""
        name = names.get("model", "")
        if name or digest:
            both = f"{name} [{digest}]" if name and digest else name or digest
            self.parameters["checkpoint_name"] = both

    def _read_modules(self) -> None:
        """The text encoders and VAEs. `VAE` is how WebUIs with a single one call it."""
        first_pass: dict[str, Any] = {}
        second_pass: dict[str, Any] = {}
        keys = [key for key in self._said if _MODULE.fullmatch(key)][: 2 * _MAX_MODULES]
        for key in keys:
            into = second_pass if key.startswith("hires") else first_pass
            self.take(key, key.title(), Name(), into=into)
        self.take("vae", "VAE", Name(), into=first_pass)
        modules = [first_pass["vae"]] if "vae" in first_pass else list(first_pass.values())
        if modules and modules != ["Automatic"]:
            self._overrides["forge_additional_modules"] = modules
        if second_pass:
            self.parameters["hr_additional_modules"] = list(second_pass.values())


def _says_nothing(text: str, kind: Kind) -> bool:
    if isinstance(kind, Choice | Words):
        return text == ""
    return text in _MEANS_NOTHING or text.startswith(_INHERITED)


def _lengths(text: str, kind: Whole) -> tuple[int, int] | None:
    width, _, height = text.partition("x")
    try:
        return kind.read(width.strip()), kind.read(height.strip())
    except Unreadable:
        return None


def _old_first_pass(width: int, height: int) -> tuple[int, int]:
    """The size WebUIs before 2023 chose: of 512 x 512 pixels, in whole latent tiles of 64."""
    scale = math.sqrt(512 * 512 / (width * height))
    return math.ceil(scale * width / 64) * 64, math.ceil(scale * height / 64) * 64


def _is_flux_of_civitai(settings: Mapping[str, str]) -> bool:
    """As Forge tells it: by these two words, anywhere."""
    text = " ".join(part for pair in settings.items() for part in pair)
    return "Civitai" in text and "FLUX" in text


def _repair_flux(said: dict[str, str]) -> None:
    """Undo what Civitai writes about pictures of Flux, as Forge's own reader does.

    It calls the distilled guidance "CFG scale", doesn't name the sampler, and adds a clip
    skip, which Flux has not.
    """
    said.pop("clip skip", None)
    if said.get("sampler") == "Undefined":
        said |= {"sampler": "Euler", "schedule type": "Simple"}
    if "cfg scale" in said and "distilled cfg scale" not in said:
        said |= {"cfg scale": "1", "distilled cfg scale": said["cfg scale"]}


# --- to an infotext ------------------------------------------------------------------

_ORDER = (
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Distilled CFG Scale", "Seed"),
    *("Face restoration", "Size", "Model hash", "Model"),
    *("Variation seed", "Variation seed strength", "Seed resize from"),
    *("Denoising strength", "Clip skip"),
)
"""How Forge's lines begin. The rest follows in the order of the tables."""


def from_parameters(
    parameters: Mapping[str, Any], *, seed: int | None = None, version: str = ""
) -> Infotext:
    """The infotext of a job, for a person to copy. `seed` is the one drawn for it.

    Pictures that a client sent, scripts and the number of pictures have no place in it.
    """
    told = {
        payload.RENAMED.get(name, name): value
        for name, value in parameters.items()
        if value not in (None, "", "None")
    }
    told |= {"seed": told.get("seed") if seed is None else seed}
    prompt = parameters.get("positive_prompt") or parameters.get("prompt") or ""
    settings = _told_settings(told)
    settings |= _told_checkpoint(payload.wanted_checkpoint(told))
    rank = {label: place for place, label in enumerate(_ORDER)}
    ordered = dict(sorted(settings.items(), key=lambda pair: rank.get(pair[0], len(_ORDER))))
    if version:
        ordered["Version"] = version
    return Infotext(prompt.strip(), str(told.get("negative_prompt", "")).strip(), ordered)


def _told_settings(told: Mapping[str, Any]) -> dict[str, str]:
    if not told.get("enable_hr"):
        told = {name: value for name, value in told.items() if not name.startswith("hr_")}
    overrides = told.get("override_settings") or {}
    settings = {field.label: told.get(field.name) for field in (*FIELDS, *HIRES_FIELDS)}
    for sides in SIZES:
        if sides.wide in told and sides.high in told:
            settings[sides.label] = f"{told[sides.wide]}x{told[sides.high]}"
    settings |= {field.label: overrides.get(field.name) for field in OVERRIDES}
    settings |= _told_modules("Hires Module", told.get("hr_additional_modules"))
    settings |= _told_modules("Module", overrides.get("forge_additional_modules"))
    for drawn in ("Seed", "Variation seed"):
        if settings[drawn] in (-1, "-1"):
            settings[drawn] = None
    return {
        label: str(value).strip()
        for label, value in settings.items()
        if isinstance(value, str | int | float) and str(value).strip()
    }


def _told_modules(label: str, modules: Any) -> dict[str, Any]:
    names = modules if isinstance(modules, list) else []
    return {f"{label} {number}": name for number, name in enumerate(names[:_MAX_MODULES], 1)}


def _told_checkpoint(wanted: str) -> dict[str, str]:
    """Forge writes name and hash apart, so that either is enough to find the file again."""
    with_hash = re.fullmatch(rf"(.*?) ?(?:\[({_HASH.pattern})\])?", wanted.strip(), re.DOTALL)
    if not with_hash or not wanted.strip():
        return {}
    name, digest = with_hash[1], with_hash[2]
    return {"Model": name} | ({"Model hash": digest} if digest else {})
