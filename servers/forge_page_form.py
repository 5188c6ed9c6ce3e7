"""From the body of a txt2img request to the fields of the form on Forge's page. Pure.

Names of fields are those of Forge's page (modules/ui.py), names of overridden settings those
of its infotexts, which is what the page's field for them takes (modules/infotext_utils.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servers.forge_page import Page

_FIELDS = {
    "prompt": "txt2img_prompt",
    "negative_prompt": "txt2img_neg_prompt",
    "styles": "txt2img_styles",
    "n_iter": "txt2img_batch_count",
    "batch_size": "txt2img_batch_size",
    "cfg_scale": "txt2img_cfg_scale",
    "distilled_cfg_scale": "txt2img_distilled_cfg_scale",
    "height": "txt2img_height",
    "width": "txt2img_width",
    "enable_hr": "txt2img_hr-checkbox",
    "denoising_strength": "txt2img_denoising_strength",
    "hr_scale": "txt2img_hr_scale",
    "hr_upscaler": "txt2img_hr_upscaler",
    "hr_second_pass_steps": "txt2img_hires_steps",
    "hr_resize_x": "txt2img_hr_resize_x",
    "hr_resize_y": "txt2img_hr_resize_y",
    "hr_checkpoint_name": "hr_checkpoint",
    "hr_additional_modules": "hr_vae_te",
    "hr_sampler_name": "hr_sampler",
    "hr_scheduler": "hr_scheduler",
    "hr_prompt": "hires_prompt",
    "hr_negative_prompt": "hires_neg_prompt",
    "hr_cfg": "txt2img_hr_cfg",
    "hr_distilled_cfg": "txt2img_hr_distilled_cfg",
    "steps": "txt2img_steps",
    "sampler_name": "txt2img_sampling",
    "scheduler": "txt2img_scheduler",
    "refiner_checkpoint": "txt2img_checkpoint",
    "refiner_switch_at": "txt2img_switch_at",
    "seed": "txt2img_seed",
    "subseed": "txt2img_subseed",
    "subseed_strength": "txt2img_subseed_strength",
    "seed_resize_from_w": "txt2img_seed_resize_from_w",
    "seed_resize_from_h": "txt2img_seed_resize_from_h",
}

_SWITCHES = {
    "txt2img_enable-checkbox": ("refiner_checkpoint",),
    "txt2img_subseed_show": ("subseed", "subseed_strength", "seed_resize_from_w"),
}
"""Ticks that have to be set before the page heeds one of these."""

_SETTINGS = {
    "sd_model_checkpoint": "Model",
    "CLIP_stop_at_last_layers": "Clip skip",
    "sd_vae": "VAE",
    "forge_additional_modules": "VAE/TE",
    "eta_noise_seed_delta": "ENSD",
    "randn_source": "RNG",
    "emphasis": "Emphasis",
    "token_merging_ratio": "Token merging ratio",
    "token_merging_ratio_hr": "Token merging ratio hr",
    "eta_ancestral": "Eta",
    "eta_ddim": "Eta DDIM",
    "sgm_noise_multiplier": "SGM noise multiplier",
    "sigma_min": "Schedule min sigma",
    "sigma_max": "Schedule max sigma",
    "rho": "Schedule rho",
    "always_discard_next_to_last_sigma": "Discard penultimate sigma",
    "sd_noise_schedule": "Noise Schedule",
    "skip_early_cond": "Skip Early CFG",
    "s_min_uncond_all": "NGMS all steps",
    "pad_cond_uncond": "Pad conds",
    "tiling": "Tiling",
}
_OVERRIDES = "txt2img_override_settings"

_PARAMETERS_THAT_ARE_SETTINGS = {
    "restore_faces": "Face restoration",
    "tiling": "Tiling",
    "s_min_uncond": "NGMS",
    "s_churn": "Sigma churn",
    "s_tmin": "Sigma tmin",
    "s_tmax": "Sigma tmax",
    "s_noise": "Sigma noise",
}
"""What the API takes as a parameter of its own, and the page as an overridden setting."""

_ALWAYS_SO = frozenset({"send_images", "save_images", "force_task_id"})
"""What only steers the API's answer."""


@dataclass(frozen=True)
class Form:
    """What to fill in, by field, and which parameters the page has no field for."""

    values: Mapping[str, Any]
    lacking: tuple[str, ...]


def form_for(page: Page, body: Mapping[str, Any]) -> Form:
    """Fill in the page's form as the body of a txt2img request asks."""
    values: dict[str, Any] = {}
    lacking = []
    for name, value in body.items():
        field = _FIELDS.get(name)
        if field and page.has_input(field):
            values[field] = value
        elif name not in _ALWAYS_SO and name not in _PARAMETERS_THAT_ARE_SETTINGS:
            lacking.append(name)
    for switch, names in _SWITCHES.items():
        if any(body.get(name) for name in names) and page.has_input(switch):
            values[switch] = True
    texts, unknown = _override_texts(body)
    if page.has_input(_OVERRIDES):
        values[_OVERRIDES] = texts
    return Form(values, (*(name for name in lacking if name != "override_settings"), *unknown))


def _override_texts(body: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The overridden settings as the page takes them, and those it has no word for."""
    texts: dict[str, str] = {}
    unknown = []
    for name, value in (body.get("override_settings") or {}).items():
        if label := _SETTINGS.get(name):
            texts[label] = f"{label}: {value}"
        else:
            unknown.append(f"override_settings.{name}")
    for name, label in _PARAMETERS_THAT_ARE_SETTINGS.items():
        if body.get(name) not in (None, False, 0):
            texts[label] = f"{label}: {body[name]}"
    # Forge may keep the last job's value where its config holds none, so ours is always told.
    texts.setdefault("Clip skip", "Clip skip: 1")
    return list(texts.values()), unknown
