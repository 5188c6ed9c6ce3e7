"""Which settings of an infotext we know, what they are called here, and what they may hold. Pure.

The bounds are those of what a client may ask for, so what is read here can be submitted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Protocol

MAX_PROMPT = 65_536
MAX_SIDE = 8192
MAX_SEED = 2**63 - 1
MAX_CHECKPOINT = 1000


# --- kinds of values -----------------------------------------------------------------


class Unreadable(ValueError):
    """The text is no such value, or one out of bounds."""


class Kind(Protocol):
    """How the text of a setting is read. `expected` completes "It must be …"."""

    @property
    def expected(self) -> str: ...

    def read(self, text: str) -> Any:
        """Raises Unreadable."""


@dataclass(frozen=True)
class Whole:
    """A whole number; `20.0` is one."""

    low: int
    high: int

    @property
    def expected(self) -> str:
        return f"a whole number from {self.low} to {self.high}"

    def read(self, text: str) -> int:
        digits = re.fullmatch(r"(-?[0-9]{1,19})(?:\.0{1,9})?", text)
        if not digits or not self.low <= int(digits[1]) <= self.high:
            raise Unreadable
        return int(digits[1])


@dataclass(frozen=True)
class Real:
    low: float
    high: float

    @property
    def expected(self) -> str:
        return f"a number from {self.low} to {self.high}"

    def read(self, text: str) -> float:
        if not re.fullmatch(r"[-+]?[0-9]{0,19}\.?[0-9]{0,30}(?:[eE][-+]?[0-9]{1,3})?", text):
            raise Unreadable
        try:
            number = float(text)
        except ValueError:
            raise Unreadable from None
        if not self.low <= number <= self.high:
            raise Unreadable
        return number


@dataclass(frozen=True)
class Words:
    max_length: int = 300

    @property
    def expected(self) -> str:
        return f"a text of at most {self.max_length} characters"

    def read(self, text: str) -> str:
        if len(text) > self.max_length:
            raise Unreadable
        return text


@dataclass(frozen=True)
class Name:
    """A name as it may stand in a list of files."""

    max_length: int = 300

    @property
    def expected(self) -> str:
        return f"a name on one line, of at most {self.max_length} characters"

    def read(self, text: str) -> str:
        if len(text) > self.max_length or re.search(r"[\x00-\x1f\x7f]", text):
            raise Unreadable
        return text


@dataclass(frozen=True)
class Choice:
    options: tuple[str, ...]

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(self.options)

    def read(self, text: str) -> str:
        if text not in self.options:
            raise Unreadable
        return text


@dataclass(frozen=True)
class Truth:
    expected: str = "True or False"

    def read(self, text: str) -> bool:
        if text.lower() not in ("true", "false"):
            raise Unreadable
        return text.lower() == "true"


# --- the map -------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A setting of the infotext and what it is called here."""

    label: str
    name: str
    kind: Kind


@dataclass(frozen=True)
class Sides:
    """A setting that tells two lengths, in pixels."""

    label: str
    wide: str
    high: str
    kind: Whole


SIDE = Whole(16, MAX_SIDE)
_SEED = Whole(-1, MAX_SEED)
_GUIDANCE = Real(0, 100)
_SHARE = Real(0, 1)
_CHECKPOINT = Name(MAX_CHECKPOINT)

FIELDS = (
    Field("Steps", "steps", Whole(1, 1000)),
    Field("Sampler", "sampler_name", Name()),
    Field("Schedule type", "scheduler", Name()),
    Field("CFG scale", "cfg_scale", _GUIDANCE),
    Field("Distilled CFG Scale", "distilled_cfg_scale", _GUIDANCE),
    Field("Seed", "seed", _SEED),
    Field("Variation seed", "subseed", _SEED),
    Field("Variation seed strength", "subseed_strength", _SHARE),
    Field("Denoising strength", "denoising_strength", _SHARE),
    Field("Clip skip", "clip_skip", Whole(0, 12)),
    Field("Tiling", "tiling", Truth()),
    Field("NGMS", "s_min_uncond", Real(0, 15)),
    Field("Sigma churn", "s_churn", Real(0, 100)),
    Field("Sigma tmin", "s_tmin", Real(0, 10)),
    Field("Sigma tmax", "s_tmax", Real(0, 999)),
    Field("Sigma noise", "s_noise", Real(0, 2)),
    Field("Refiner", "refiner_checkpoint", _CHECKPOINT),
    Field("Refiner switch at", "refiner_switch_at", _SHARE),
)
"""Settings with a parameter of their own."""

HIRES_FIELDS = (
    Field("Hires upscale", "hr_scale", Real(1, 8)),
    Field("Hires upscaler", "hr_upscaler", Name()),
    Field("Hires steps", "hr_second_pass_steps", Whole(0, 1000)),
    Field("Hires sampler", "hr_sampler_name", Name()),
    Field("Hires schedule type", "hr_scheduler", Name()),
    Field("Hires checkpoint", "hr_checkpoint_name", _CHECKPOINT),
    Field("Hires prompt", "hr_prompt", Words(MAX_PROMPT)),
    Field("Hires negative prompt", "hr_negative_prompt", Words(MAX_PROMPT)),
    Field("Hires CFG Scale", "hr_cfg", _GUIDANCE),
    Field("Hires Distilled CFG Scale", "hr_distilled_cfg", _GUIDANCE),
)
"""Settings of the second pass."""

OVERRIDES = (
    Field("ENSD", "eta_noise_seed_delta", Whole(-(2**32), 2**32)),
    Field("RNG", "randn_source", Choice(("GPU", "CPU", "NV"))),
    Field("Emphasis", "emphasis", Choice(("None", "Ignore", "Original", "No norm"))),
    Field("Eta", "eta_ancestral", _SHARE),
    Field("Eta DDIM", "eta_ddim", _SHARE),
    Field("Token merging ratio", "token_merging_ratio", _SHARE),
    Field("Token merging ratio hr", "token_merging_ratio_hr", _SHARE),
    Field("Schedule min sigma", "sigma_min", Real(0, 2)),
    Field("Schedule max sigma", "sigma_max", Real(0, 60)),
    Field("Schedule rho", "rho", Real(0, 1000)),
    Field("Discard penultimate sigma", "always_discard_next_to_last_sigma", Truth()),
    Field("SGM noise multiplier", "sgm_noise_multiplier", Truth()),
    Field("Skip Early CFG", "skip_early_cond", _SHARE),
    Field("Noise Schedule", "sd_noise_schedule", Choice(("Default", "Zero Terminal SNR"))),
    Field("Face restoration", "face_restoration_model", Name()),
)
"""Settings that are options of the server, so part of `override_settings`."""

SIZES = (
    Sides("Size", "width", "height", SIDE),
    Sides("Hires resize", "hr_resize_x", "hr_resize_y", Whole(0, MAX_SIDE)),
    Sides("Seed resize from", "seed_resize_from_w", "seed_resize_from_h", Whole(-1, MAX_SIDE)),
)
"""Settings of the form 512x768."""

SCHEDULERS = (
    "Align Your Steps GITS",
    "Align Your Steps 11",
    "Align Your Steps 32",
    "Align Your Steps",
    "Polyexponential",
    "SGM Uniform",
    "KL Optimal",
    "Exponential",
    "Uniform",
    "Karras",
    "Simple",
    "Normal",
    "Turbo",
    "DDIM",
    "Beta",
)
"""Labels that older WebUIs wrote behind the sampler's name; of two endings the longer first."""
