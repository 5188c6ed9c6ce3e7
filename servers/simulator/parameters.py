"""The fields of Forge's requests: kinds, defaults, and pydantic's complaints.

Fields Forge does not know are dropped without a word; numbers in strings are taken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Literal

from servers.simulator.errors import RefusalError

Kind = Literal["int", "float", "bool", "str", "list", "dict", "any"]

_TRUE = {"1", "true", "t", "yes", "y", "on"}
_FALSE = {"0", "false", "f", "no", "n", "off"}
_MESSAGES = {
    "int_type": "Input should be a valid integer",
    "int_parsing": "Input should be a valid integer, unable to parse string as an integer",
    "int_from_float": "Input should be a valid integer, got a number with a fractional part",
    "float_type": "Input should be a valid number",
    "float_parsing": "Input should be a valid number, unable to parse string as a number",
    "bool_type": "Input should be a valid boolean",
    "bool_parsing": "Input should be a valid boolean, unable to interpret input",
    "string_type": "Input should be a valid string",
    "list_type": "Input should be a valid list",
    "dict_type": "Input should be a valid dictionary",
    "missing": "Field required",
    "model_attributes_type": (
        "Input should be a valid dictionary or object to extract fields from"
    ),
}


@dataclass(frozen=True)
class Field:
    """One field of a request body."""

    kind: Kind
    default: Any = None
    nullable: bool = True


_COMMON: dict[str, Field] = {
    "prompt": Field("str", ""),
    "negative_prompt": Field("str", ""),
    "styles": Field("list"),
    "seed": Field("int", -1),
    "subseed": Field("int", -1),
    "subseed_strength": Field("float", 0),
    "seed_resize_from_h": Field("int", -1),
    "seed_resize_from_w": Field("int", -1),
    "sampler_name": Field("str"),
    "scheduler": Field("str"),
    "batch_size": Field("int", 1),
    "n_iter": Field("int", 1),
    "steps": Field("int", 50),
    "cfg_scale": Field("float", 7.0),
    "distilled_cfg_scale": Field("float", 3.5),
    "width": Field("int", 512),
    "height": Field("int", 512),
    "restore_faces": Field("bool"),
    "tiling": Field("bool"),
    "do_not_save_samples": Field("bool", False),
    "do_not_save_grid": Field("bool", False),
    "eta": Field("float"),
    "denoising_strength": Field("float"),
    "s_min_uncond": Field("float"),
    "s_churn": Field("float"),
    "s_tmax": Field("float"),
    "s_tmin": Field("float"),
    "s_noise": Field("float"),
    "override_settings": Field("dict"),
    "override_settings_restore_afterwards": Field("bool", True),
    "refiner_checkpoint": Field("str"),
    "refiner_switch_at": Field("float"),
    "disable_extra_networks": Field("bool", False),
    "firstpass_image": Field("any"),
    "comments": Field("dict"),
}

_ENDING: dict[str, Field] = {
    "force_task_id": Field("str"),
    "hr_distilled_cfg": Field("float", 3.5),
    "sampler_index": Field("str", "Euler"),
    "script_name": Field("str"),
    "script_args": Field("list", []),
    "send_images": Field("bool", True),
    "save_images": Field("bool", False),
    "alwayson_scripts": Field("dict", {}),
    "infotext": Field("str"),
}

TXT2IMG: dict[str, Field] = {
    **_COMMON,
    "enable_hr": Field("bool", False),
    "firstphase_width": Field("int", 0),
    "firstphase_height": Field("int", 0),
    "hr_scale": Field("float", 2.0),
    "hr_upscaler": Field("str"),
    "hr_second_pass_steps": Field("int", 0),
    "hr_resize_x": Field("int", 0),
    "hr_resize_y": Field("int", 0),
    "hr_checkpoint_name": Field("str"),
    "hr_additional_modules": Field("list"),
    "hr_sampler_name": Field("str"),
    "hr_scheduler": Field("str"),
    "hr_prompt": Field("str", ""),
    "hr_negative_prompt": Field("str", ""),
    "hr_cfg": Field("float", 1.0),
    **_ENDING,
}

IMG2IMG: dict[str, Field] = {
    **_COMMON,
    "init_images": Field("list"),
    "resize_mode": Field("int", 0),
    "image_cfg_scale": Field("float"),
    "mask": Field("str"),
    "mask_blur_x": Field("int", 4),
    "mask_blur_y": Field("int", 4),
    "mask_blur": Field("int"),
    "mask_round": Field("bool", True),
    "inpainting_fill": Field("int", 0),
    "inpaint_full_res": Field("bool", True),
    "inpaint_full_res_padding": Field("int", 0),
    "inpainting_mask_invert": Field("int", 0),
    "initial_noise_multiplier": Field("float"),
    "latent_mask": Field("any"),
    "include_init_images": Field("bool", False),
    **_ENDING,
}

PROGRESS: dict[str, Field] = {
    "id_task": Field("str", None, nullable=False),
    "id_live_preview": Field("int", -1, nullable=False),
    "live_preview": Field("bool", True, nullable=False),
}

EXTRA_SINGLE_IMAGE: dict[str, Field] = {
    "image": Field("str", "", nullable=False),
    "resize_mode": Field("int", 0, nullable=False),
    "upscaling_resize": Field("float", 2.0, nullable=False),
    "upscaling_resize_w": Field("int", 512, nullable=False),
    "upscaling_resize_h": Field("int", 512, nullable=False),
    "upscaler_1": Field("str", "None", nullable=False),
}

PNG_INFO: dict[str, Field] = {"image": Field("str", "", nullable=False)}


def read(body: bytes, fields: Mapping[str, Field]) -> dict[str, Any]:
    """The fields of a request body, defaults filled in. Raises RefusalError 422."""
    data = read_object(body)
    values: dict[str, Any] = {}
    complaints: list[dict[str, Any]] = []
    for name, field in fields.items():
        if name not in data:
            values[name] = copy(field.default)
            continue
        value = data[name]
        if value is None and (field.nullable or field.kind == "any"):
            values[name] = None
            continue
        values[name], problem = _read_value(field.kind, value)
        if problem:
            complaints.append(_complaint(problem, ["body", name], value))
    if complaints:
        raise RefusalError(422, complaints)
    return values


def read_object(body: bytes) -> dict[str, Any]:
    """A request body that must be a JSON object. Raises RefusalError 422."""
    if not body:
        raise RefusalError(422, [_complaint("missing", ["body"], None)])
    try:
        data = json.loads(body)
    except json.JSONDecodeError as error:
        complaint = {
            "type": "json_invalid",
            "loc": ["body", error.pos],
            "msg": "JSON decode error",
            "input": {},
            "ctx": {"error": error.msg},
        }
        raise RefusalError(422, [complaint]) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise RefusalError(400, "There was an error parsing the body") from error
    if not isinstance(data, dict):
        raise RefusalError(422, [_complaint("model_attributes_type", ["body"], data)])
    return data


def _complaint(problem: str, where: list[str], value: Any) -> dict[str, Any]:
    return {
        "type": problem,
        "loc": where,
        "msg": _MESSAGES[problem],
        "input": value,
        "url": f"https://errors.pydantic.dev/2.8/v/{problem}",
    }


def _read_value(kind: Kind, value: Any) -> tuple[Any, str | None]:
    """The value as `kind`, and the name of pydantic's complaint if it is none."""
    match kind:
        case "int":
            return _read_int(value)
        case "float":
            return _read_float(value)
        case "bool":
            return _read_bool(value)
        case "str":
            return value, None if isinstance(value, str) else "string_type"
        case "list":
            return value, None if isinstance(value, list) else "list_type"
        case "dict":
            return value, None if isinstance(value, dict) else "dict_type"
        case "any":
            return value, None


def _read_int(value: Any) -> tuple[Any, str | None]:
    if isinstance(value, int):
        return int(value), None
    if isinstance(value, float):
        whole = math.isfinite(value) and value.is_integer()
        return (int(value), None) if whole else (value, "int_from_float")
    if isinstance(value, str):
        try:
            return int(value.strip()), None
        except ValueError:
            return value, "int_parsing"
    return value, "int_type"


def _read_float(value: Any) -> tuple[Any, str | None]:
    if isinstance(value, int | float):
        return float(value), None
    if isinstance(value, str):
        try:
            return float(value), None
        except ValueError:
            return value, "float_parsing"
    return value, "float_type"


def _read_bool(value: Any) -> tuple[Any, str | None]:
    if isinstance(value, bool):
        return value, None
    if isinstance(value, str):
        word = value.lower()
        return (word in _TRUE, None) if word in _TRUE | _FALSE else (value, "bool_parsing")
    if isinstance(value, int | float):
        return (bool(value), None) if value in (0, 1) else (value, "bool_parsing")
    return value, "bool_type"
