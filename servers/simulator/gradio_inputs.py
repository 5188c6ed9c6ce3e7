"""What the page's inputs say, as the request that Forge's API would have read.

Only what Forge's page hands on is heard; the inputs of scripts and extensions are not.
"""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Iterable, Mapping
from typing import Any

from servers.simulator import parameters
from servers.simulator.errors import RefusalError, RunError

_FIELDS = {
    "txt2img_prompt": "prompt",
    "txt2img_neg_prompt": "negative_prompt",
    "txt2img_styles": "styles",
    "txt2img_batch_count": "n_iter",
    "txt2img_batch_size": "batch_size",
    "txt2img_cfg_scale": "cfg_scale",
    "txt2img_distilled_cfg_scale": "distilled_cfg_scale",
    "txt2img_height": "height",
    "txt2img_width": "width",
    "txt2img_hr-checkbox": "enable_hr",
    "txt2img_denoising_strength": "denoising_strength",
    "txt2img_hr_scale": "hr_scale",
    "txt2img_hr_upscaler": "hr_upscaler",
    "txt2img_hires_steps": "hr_second_pass_steps",
    "txt2img_hr_resize_x": "hr_resize_x",
    "txt2img_hr_resize_y": "hr_resize_y",
    "hr_checkpoint": "hr_checkpoint_name",
    "hr_vae_te": "hr_additional_modules",
    "hr_sampler": "hr_sampler_name",
    "hr_scheduler": "hr_scheduler",
    "hires_prompt": "hr_prompt",
    "hires_neg_prompt": "hr_negative_prompt",
    "txt2img_hr_cfg": "hr_cfg",
    "txt2img_hr_distilled_cfg": "hr_distilled_cfg",
    "txt2img_steps": "steps",
    "txt2img_sampling": "sampler_name",
    "txt2img_scheduler": "scheduler",
    "txt2img_seed": "seed",
}
"""Fields of a request by the elem_id of their input."""

_USE_SAME = {
    "hr_checkpoint_name": "Use same checkpoint",
    "hr_sampler_name": "Use same sampler",
    "hr_scheduler": "Use same scheduler",
}

_OVERRIDES = {
    "Model": "sd_model_checkpoint",
    "Clip skip": "CLIP_stop_at_last_layers",
    "RNG": "randn_source",
    "VAE": "sd_vae",
    "VAE Encoder": "sd_vae_encode_method",
    "VAE Decoder": "sd_vae_decode_method",
    "ENSD": "eta_noise_seed_delta",
    "VAE/TE": "forge_additional_modules",
}
"""Options by the word that the page's override settings use (modules/shared_options.py of Forge).

"Model hash" is none of them, so an override by hash is dropped without a word.
"""


def read(said: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """A request with all fields of txt2img, from the values of the page's inputs by elem_id.

    `options` are Forge's present ones: their kinds decide how an override is read. Raises
    RunError for a value Forge's code would stumble over.
    """
    wanted = {field: said[elem_id] for elem_id, field in _FIELDS.items() if elem_id in said}
    for field, word in _USE_SAME.items():
        if wanted.get(field) == word:
            wanted[field] = None
    if said.get("txt2img_enable-checkbox") and said.get("txt2img_checkpoint") not in ("", "None"):
        wanted["refiner_checkpoint"] = said["txt2img_checkpoint"]
        wanted["refiner_switch_at"] = said.get("txt2img_switch_at")
    wanted |= _variation(said)
    wanted["save_images"] = True
    wanted["override_settings"] = overrides(said.get("txt2img_override_settings"), options)
    try:
        return parameters.read(json.dumps(wanted).encode(), parameters.TXT2IMG)
    except RefusalError as error:
        raise RunError("TypeError", f"a value of the page is of a wrong kind: {error}") from error


def _variation(said: Mapping[str, Any]) -> dict[str, Any]:
    """The variation seed and the resized seed count only while "Extra" is ticked."""
    if not said.get("txt2img_subseed_show"):
        return {}
    found: dict[str, Any] = {}
    if (said.get("txt2img_subseed_strength") or 0) > 0:
        found["subseed"] = said.get("txt2img_subseed", -1)
        found["subseed_strength"] = said["txt2img_subseed_strength"]
    width, height = (said.get(f"txt2img_seed_resize_from_{side}") or 0 for side in "wh")
    if width > 0 and height > 0:
        found |= {"seed_resize_from_w": width, "seed_resize_from_h": height}
    return found


def overrides(texts: Iterable[str] | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options to override, from texts like "Clip skip: 2". Unknown words are passed over."""
    found: dict[str, Any] = {}
    for text in texts or ():
        word, colon, value = text.partition(":")
        if not colon:
            raise RunError("ValueError", "not enough values to unpack (expected 2, got 1)")
        name = _OVERRIDES.get(word)
        if name is None or (name not in options and name != "sd_model_checkpoint"):
            continue
        found[name] = _like(options.get(name), value.strip(), is_list=name == _OVERRIDES["VAE/TE"])
    return found


def _like(present: Any, value: str, *, is_list: bool) -> Any:
    try:
        if is_list:
            return literal_eval(value)
        if isinstance(present, bool):
            return value != "False"
        if isinstance(present, float):
            return float(value)
        return int(value) if isinstance(present, int) else value
    except (ValueError, SyntaxError) as error:
        raise RunError(type(error).__name__, str(error)) from error
