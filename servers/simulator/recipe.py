"""What one run draws: seeds, sizes, sampler, infotexts and the `info` of its answer.

Pure: made from the request, the options in force and the checkpoint really loaded.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from servers.simulator.catalogue import ModelFile
from servers.simulator.flavours import FLAVOURS, Flavour

_MAX_SEED = 4294967294


@dataclass(frozen=True)
class Sampling:
    """A sampler and a scheduler that exist."""

    sampler: str
    scheduler: str
    said_schedule: str | None
    """The schedule that takes effect, when it is another than the sampler's plain one."""


def choose_sampling(
    name: str | None,
    scheduler: str | None,
    samplers: list[dict[str, Any]],
    schedulers: list[dict[str, Any]],
) -> Sampling:
    """Forge's choice: an unknown sampler falls back to the first, an unknown scheduler to
    Automatic, and a scheduler may stand at the end of the sampler's name."""
    by_name = {key: item for item in schedulers for key in (item["name"], item["label"])}
    found = by_name.get(scheduler or "", schedulers[0])
    wanted = name or samplers[0]["name"]
    for item in schedulers:
        for word in (item["label"], item["name"], *(item["aliases"] or [])):
            if wanted.endswith(f" {word}"):
                found, wanted = item, wanted.removesuffix(f" {word}")
                break
    sampler = next((item for item in samplers if item["name"] == wanted), samplers[0])
    own = sampler["options"].get("scheduler")
    if found["name"] == own:
        found = schedulers[0]
    effective = by_name[own] if found is schedulers[0] and own else found
    said = None if effective is schedulers[0] else effective["label"]
    return Sampling(sampler["name"], found["label"], said)


def draw_seed(value: int | None) -> int:
    return random.randrange(_MAX_SEED) if value is None or value == -1 else value


@dataclass
class Recipe:
    """One run, ready to be drawn."""

    request: Mapping[str, Any]
    checkpoint: ModelFile
    sampling: Sampling
    seed: int
    clip_skip: int
    loras: list[ModelFile]
    job_timestamp: str
    flavour: Flavour = FLAVOURS["forge"]
    modules: list[str] = field(default_factory=list)
    """Names of the VAE and text encoders in use beside the checkpoint's own."""
    subseed: int = field(default_factory=lambda: draw_seed(None))

    @property
    def count(self) -> int:
        return int(self.request["n_iter"] * self.request["batch_size"])

    @property
    def seeds(self) -> list[int]:
        """One per picture; with a subseed strength the seed stays and the subseed counts."""
        step = 0 if self.request["subseed_strength"] else 1
        return [self.seed + step * index for index in range(self.count)]

    @property
    def subseeds(self) -> list[int]:
        return [self.subseed + index for index in range(self.count)]

    @property
    def size(self) -> tuple[int, int]:
        """Pixels of the result, in steps of 8; `info` says what was asked instead."""
        width, height = self.request["width"], self.request["height"]
        if self.request.get("enable_hr"):
            scale = self.request["hr_scale"]
            width = self.request["hr_resize_x"] or int(width * scale)
            height = self.request["hr_resize_y"] or int(height * scale)
        return width // 8 * 8, height // 8 * 8

    @property
    def passes(self) -> list[int]:
        """Sampling steps of each pass over one batch: one, or two with hires fix."""
        steps, strength = self.request["steps"], self.request["denoising_strength"]
        if self.request.get("enable_hr"):
            second = self.request["hr_second_pass_steps"] or steps
            return [steps, _image_to_image_steps(second, strength or 0.75)]
        if "init_images" in self.request:
            return [_image_to_image_steps(steps, strength)]
        return [steps]

    def picture_key(self, index: int) -> str:
        """All that decides what a picture shows."""
        seed, subseed = self.seeds[index], self.subseeds[index]
        if not self.request["subseed_strength"]:
            subseed = 0
        prompts = f"{self.request['prompt']}|{self.request['negative_prompt']}"
        return f"{seed}|{subseed}|{prompts}|{self.checkpoint.stem}"

    def infotext(self, index: int = 0) -> str:
        extras = self._extras()
        strength = self.request["subseed_strength"]
        pairs: dict[str, Any] = {
            "Steps": self.request["steps"],
            "Sampler": self.sampling.sampler,
            "Schedule type": self.sampling.said_schedule or self.sampling.scheduler,
            "CFG scale": self.request["cfg_scale"],
            "Seed": self.seeds[index],
            "Size": f"{self.request['width']}x{self.request['height']}",
            "Model hash": self.checkpoint.digest[:10],
            "Model": self.checkpoint.stem.replace(",", "").replace(":", ""),
            "Variation seed": self.subseeds[index] if strength else None,
            "Variation seed strength": strength or None,
            "Denoising strength": extras.get("Denoising strength"),
            "Clip skip": self.clip_skip if self.clip_skip > 1 else None,
            **extras,
            **{f"Module {number}": name for number, name in enumerate(self.modules, 1)},
            "Version": self.flavour.version,
        }
        settings = ", ".join(
            key if key == value else f"{key}: {_quoted(value)}"
            for key, value in pairs.items()
            if value is not None
        )
        negative = self.request["negative_prompt"]
        second = f"\nNegative prompt: {negative}" if negative else ""
        return f"{self.request['prompt']}{second}\n{settings}".strip()

    def info(self, infotexts: list[str], *, first_image: int) -> dict[str, Any]:
        """What the answer's `info` says. It never tells that a run was interrupted."""
        request = self.request
        return {
            "prompt": request["prompt"],
            "all_prompts": [request["prompt"]] * self.count,
            "negative_prompt": request["negative_prompt"],
            "all_negative_prompts": [request["negative_prompt"]] * self.count,
            "seed": self.seed,
            "all_seeds": self.seeds,
            "subseed": self.subseed,
            "all_subseeds": self.subseeds,
            "subseed_strength": request["subseed_strength"],
            "width": request["width"],
            "height": request["height"],
            "sampler_name": self.sampling.sampler,
            "cfg_scale": request["cfg_scale"],
            "steps": request["steps"],
            "batch_size": request["batch_size"],
            "restore_faces": bool(request["restore_faces"]),
            "face_restoration_model": None,
            "sd_model_name": self.checkpoint.stem,
            "sd_model_hash": self.checkpoint.digest[:10],
            "sd_vae_name": None,
            "sd_vae_hash": None,
            "seed_resize_from_w": request["seed_resize_from_w"],
            "seed_resize_from_h": request["seed_resize_from_h"],
            "denoising_strength": request["denoising_strength"],
            "extra_generation_params": self._extras(),
            "index_of_first_image": first_image,
            "infotexts": infotexts or [self.infotext()],
            "styles": request["styles"] or [],
            "job_timestamp": self.job_timestamp,
            "clip_skip": self.clip_skip,
            "is_using_inpainting_conditioning": False,
            "version": self.flavour.version,
        }

    def _extras(self) -> dict[str, Any]:
        """Forge's extra_generation_params; those that are None are left out of infotexts."""
        request, extras = self.request, dict[str, Any]()
        if self.sampling.said_schedule:
            extras["Schedule type"] = self.sampling.said_schedule
        if "init_images" in request:
            extras["Denoising strength"] = request["denoising_strength"]
        if request.get("enable_hr"):
            extras |= self._hires_extras()
        if self.loras:
            extras["Lora hashes"] = ", ".join(
                f"{lora.stem}: {lora.digest[:12]}" for lora in self.loras
            )
        return extras

    def _hires_extras(self) -> dict[str, Any]:
        request = self.request
        modules = request["hr_additional_modules"] or []
        extras: dict[str, Any] = {
            "Denoising strength": request["denoising_strength"],
            **{f"Hires Module {number}": name for number, name in enumerate(modules, 1)},
            "Hires prompt": request["hr_prompt"] or None,
            "Hires negative prompt": request["hr_negative_prompt"] or None,
            **self._hires_guidance(),
            "Hires schedule type": request["hr_scheduler"],
        }
        if request["hr_resize_x"] or request["hr_resize_y"]:
            extras["Hires resize"] = f"{request['hr_resize_x']}x{request['hr_resize_y']}"
        else:
            extras["Hires upscale"] = request["hr_scale"]
        if request["hr_second_pass_steps"]:
            extras["Hires steps"] = request["hr_second_pass_steps"]
        extras["Hires upscaler"] = request["hr_upscaler"]
        return extras

    def _hires_guidance(self) -> dict[str, Any]:
        if "hr_cfg" in self.flavour.lacks_fields:
            return {}
        return {"Hires CFG Scale": self.request["hr_cfg"], "Hires Distilled CFG Scale": None}


def _image_to_image_steps(steps: int, strength: float) -> int:
    return int(min(strength, 0.999) * steps) + 1


def _quoted(value: Any) -> Any:
    """A value that holds a separator is written as a JSON string."""
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if any(mark in text for mark in ",\n:") else value
