"""From the parameters a client sent to the body that Forge gets. Pure; no Django model.

Unknown fields, and settings outside the lists below, stay in the job but are not sent:
Forge ignores a misspelt field silently and answers 500 to a setting it doesn't know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

RENAMED = {
    "positive_prompt": "prompt",
    "num_images": "n_iter",
    "enable_hires_fix": "enable_hr",
    "upscaler_model": "hr_upscaler",
    "refiner_model": "refiner_checkpoint",
}
"""Fields of older clients and of our own contract that Forge knows by another name."""

COPIED = frozenset(
    {
        "prompt",
        "negative_prompt",
        "styles",
        "subseed",
        "subseed_strength",
        "seed_resize_from_h",
        "seed_resize_from_w",
        "sampler_name",
        "scheduler",
        "batch_size",
        "n_iter",
        "steps",
        "cfg_scale",
        "distilled_cfg_scale",
        "width",
        "height",
        "restore_faces",
        "tiling",
        "eta",
        "denoising_strength",
        "s_min_uncond",
        "s_churn",
        "s_tmax",
        "s_tmin",
        "s_noise",
        "refiner_checkpoint",
        "refiner_switch_at",
        "disable_extra_networks",
        "enable_hr",
        "hr_scale",
        "hr_upscaler",
        "hr_second_pass_steps",
        "hr_resize_x",
        "hr_resize_y",
        "hr_checkpoint_name",
        "hr_additional_modules",
        "hr_sampler_name",
        "hr_scheduler",
        "hr_prompt",
        "hr_negative_prompt",
        "hr_cfg",
        "hr_distilled_cfg",
        "firstphase_width",
        "firstphase_height",
        "resize_mode",
        "image_cfg_scale",
        "mask_blur",
        "mask_blur_x",
        "mask_blur_y",
        "mask_round",
        "inpainting_fill",
        "inpaint_full_res",
        "inpaint_full_res_padding",
        "inpainting_mask_invert",
        "initial_noise_multiplier",
        "include_init_images",
    }
)
"""Fields of Forge's own request that pass as they are."""

SETTINGS_ALLOWED = frozenset(
    {
        "CLIP_stop_at_last_layers",
        "sd_vae",
        "forge_additional_modules",
        "eta_noise_seed_delta",
        "randn_source",
        "emphasis",
        "token_merging_ratio",
        "token_merging_ratio_img2img",
        "token_merging_ratio_hr",
        "eta_ancestral",
        "eta_ddim",
        "sgm_noise_multiplier",
        "sigma_min",
        "sigma_max",
        "rho",
        "always_discard_next_to_last_sigma",
        "face_restoration_model",
        "code_former_weight",
        "upscaler_for_img2img",
        "img2img_color_correction",
        "sd_noise_schedule",
        "skip_early_cond",
        "s_min_uncond_all",
        "pad_cond_uncond",
        "tiling",
    }
)
"""Keys of `override_settings` that may reach Forge: those that shape a picture, none that
names a folder, a file or the server's behaviour towards others."""

SCRIPTS_ALLOWED = frozenset(
    {
        "adetailer",
        "controlnet",
        "dynamic thresholding (cfg-scale fix) integrated",
        "dynamicthresholding (cfg-fix) integrated",
        "extra options",
        "freeu integrated",
        "hypertile integrated",
        "kohya hrfix integrated",
        "latentmodifier integrated",
        "multidiffusion integrated",
        "never oom integrated",
        "perturbedattentionguidance integrated",
        "refiner",
        "sampler",
        "seed",
        "selfattentionguidance integrated",
        "soft inpainting",
        "stylealign integrated",
    }
)
"""Always-on scripts that may reach Forge, in lower case."""


COPY_SETTINGS = {
    "save_images_add_number": False,
    "save_to_dirs": False,
    # A half-drawn picture must never be found under the name of a whole one.
    "save_incomplete_images": False,
    "grid_save": False,
    "return_grid": False,
}
COPY_NAME = "samples_filename_pattern"
COPY_OPTIONS = frozenset({COPY_NAME, *COPY_SETTINGS})
"""What has Forge keep its pictures under names of ours; none of these may stay set there."""

DEFAULT_DENOISING = 0.75
"""What Forge's own page starts with; its img2img call does not fill a missing one in."""


def kind_of(parameters: Mapping[str, Any]) -> str:
    """Which of Forge's two calls draws this: `img2img` if the client sent a picture."""
    return "img2img" if parameters.get("init_images") else "txt2img"


def wanted_checkpoint(parameters: Mapping[str, Any]) -> str:
    """The checkpoint as the client wrote it; empty for the one the server has selected."""
    overrides = parameters.get("override_settings") or {}
    for name in (
        parameters.get("checkpoint_name"),
        parameters.get("sd_checkpoint"),
        overrides.get("sd_model_checkpoint"),
    ):
        if isinstance(name, str) and name.strip():
            return name
    return ""


def wanted_scheduler(parameters: Mapping[str, Any]) -> str:
    """A scheduler that is only to be used if the server has it: older clients send a
    quality preset ("Balanced") in the same field. Empty when none is asked for."""
    if _given(parameters.get("scheduler")):
        return ""
    preset = parameters.get("scheduler_or_quality_preset")
    return preset if isinstance(preset, str) and _given(preset) else ""


def image_count(parameters: Mapping[str, Any]) -> int:
    """How many pictures Forge will return."""
    rounds = parameters.get("n_iter") or parameters.get("num_images") or 1
    return int(rounds) * int(parameters.get("batch_size") or 1)


def pictures_in(value: Any) -> set[str]:
    """The SHA-256 of every stored picture that `value` refers to."""
    if sha256 := _reference(value):
        return {sha256}
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return set().union(*map(pictures_in, value))
    return set()


def build(
    parameters: Mapping[str, Any],
    *,
    seed: int,
    checkpoint: str = "",
    scheduler: str = "",
    read_input: Callable[[str], str],
) -> dict[str, Any]:
    """The body of a txt2img or img2img call.

    `checkpoint` is the name from that server's own list; `scheduler` one that it lists;
    `read_input` gives the base64 of a stored input by its SHA-256.
    """
    body = {
        field: value
        for name, value in parameters.items()
        if (field := RENAMED.get(name, name)) in COPIED and _given(value)
    }
    if _given(prompt := parameters.get("positive_prompt") or parameters.get("prompt")):
        body["prompt"] = prompt
    if scheduler:
        body["scheduler"] = scheduler
    body |= {"seed": seed, "send_images": True, "save_images": False}
    if body.get("enable_hr"):
        # Without it Forge dies after the first pass: it iterates over the missing list.
        body.setdefault("hr_additional_modules", ["Use same choices"])
    overrides = _overrides(parameters, checkpoint)
    if overrides:
        body["override_settings"] = overrides
    if scripts := _scripts(parameters):
        body["alwayson_scripts"] = scripts
    if kind_of(parameters) == "img2img":
        body["init_images"] = parameters["init_images"]
        body.setdefault("denoising_strength", DEFAULT_DENOISING)
        if _given(parameters.get("mask")):
            body["mask"] = parameters["mask"]
    filled: dict[str, Any] = _with_pictures(body, read_input)
    return filled


def keeping_copies(body: dict[str, Any], *, task_id: str, count: int) -> dict[str, Any]:
    """The body, with Forge told to keep its `count` pictures under the names of `copy_names`."""
    # Forge drops the number of a single picture, and the text before it.
    pattern = task_id if count == 1 else f"{task_id}-[generation_number]"
    overrides = {**body.get("override_settings", {}), COPY_NAME: pattern, **COPY_SETTINGS}
    return {**body, "save_images": True, "override_settings": overrides}


def copy_names(task_id: str, count: int) -> tuple[str, ...]:
    """What a Forge calls the pictures it kept of a generation, in their order."""
    if count == 1:
        return (task_id,)
    return tuple(f"{task_id}-{number}" for number in range(1, count + 1))


def _given(value: object) -> bool:
    """Whether a client meant something by this value: "None" and "" are its empty choices."""
    return value is not None and value != "" and value != "None"


def _overrides(parameters: Mapping[str, Any], checkpoint: str) -> dict[str, Any]:
    asked = parameters.get("override_settings") or {}
    overrides = {name: value for name, value in asked.items() if name in SETTINGS_ALLOWED}
    if parameters.get("clip_skip"):
        overrides.setdefault("CLIP_stop_at_last_layers", parameters["clip_skip"])
    if checkpoint:
        overrides["sd_model_checkpoint"] = checkpoint
    return overrides


def _scripts(parameters: Mapping[str, Any]) -> dict[str, Any]:
    asked = parameters.get("alwayson_scripts") or {}
    return {name: value for name, value in asked.items() if name.lower() in SCRIPTS_ALLOWED}


def _with_pictures(value: Any, read_input: Callable[[str], str]) -> Any:
    """Put the pictures back where `{"sha256": …}` stands for them."""
    if sha256 := _reference(value):
        return read_input(sha256)
    if isinstance(value, dict):
        return {name: _with_pictures(item, read_input) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_pictures(item, read_input) for item in value]
    return value


def _reference(value: Any) -> str:
    """The SHA-256 in what stands for a stored picture; empty if `value` is something else."""
    if isinstance(value, dict) and "bytes" in value and isinstance(value.get("sha256"), str):
        return str(value["sha256"])
    return ""
