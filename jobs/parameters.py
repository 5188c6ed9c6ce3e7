"""What a client may ask for, field by field, with its bounds. Unknown fields are kept as sent."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from jobs import payload

MAX_PROMPT = 65_536
MAX_PIXELS_SIDE = 8192
MAX_IMAGES = 100
MAX_SEED = 2**63 - 1
FORGE_SEEDS = 2**32
"""Forge draws its own random seeds below this."""

MAX_UNKNOWN_TEXT = 65_536
SHA256 = re.compile(r"[0-9a-f]{64}")


class Whole(serializers.IntegerField):
    """A whole JSON number; `20.0` is one, `"20"`, `true` and `"many"` are not."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int | float) or data != data // 1:
            self.fail("invalid")
        return super().to_internal_value(int(data))


class Real(serializers.FloatField):
    """A finite JSON number."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool) or not isinstance(data, int | float):
            self.fail("invalid")
        return super().to_internal_value(data)


class Truth(serializers.BooleanField):
    """`true` or `false`, not words for them."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class Text(serializers.CharField):
    """Text as it is: neither trimmed nor made from numbers."""

    def __init__(self, max_length: int | None = 300, **options: Any) -> None:
        options.setdefault("allow_blank", True)
        super().__init__(max_length=max_length, trim_whitespace=False, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Seed(serializers.Field):  # type: ignore[type-arg]
    """A seed: a whole number, or "" or -1 for one to be drawn. Digits in a string count."""

    default_error_messages = {
        "invalid": f"Must be a whole number from -1 to {MAX_SEED}, or empty for a random one."
    }

    def to_internal_value(self, data: Any) -> Any:
        if data == "":
            return data
        number = data
        if isinstance(data, str) and re.fullmatch(r"-?\d{1,19}", data):
            number = int(data)
        if isinstance(number, bool) or not isinstance(number, int):
            self.fail("invalid")
        if not -1 <= number <= MAX_SEED:
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class PictureField(serializers.Field):  # type: ignore[type-arg]
    """A picture: base64 text, or `{"sha256": …}` for one that was sent before."""

    default_error_messages = {
        # The braces are doubled, as the text is a format.
        "invalid": 'Send the picture as base64, or {{"sha256": …}} of one sent before.'
    }

    def to_internal_value(self, data: Any) -> Any:
        is_reference = isinstance(data, dict) and SHA256.fullmatch(str(data.get("sha256")))
        if not (isinstance(data, str) or is_reference):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


def _whole(low: int, high: int) -> Whole:
    return Whole(min_value=low, max_value=high, required=False, allow_null=True)


def _real(low: float, high: float) -> Real:
    return Real(min_value=low, max_value=high, required=False, allow_null=True)


def _text(max_length: int | None = 300) -> Text:
    return Text(max_length=max_length, required=False, allow_null=True)


def _truth() -> Truth:
    return Truth(required=False, allow_null=True)


class ParametersSerializer(serializers.Serializer[Any]):
    """`generation_params`."""

    positive_prompt = Text(max_length=MAX_PROMPT, required=False)
    prompt = Text(max_length=MAX_PROMPT, required=False)
    negative_prompt = _text(MAX_PROMPT)
    checkpoint_name = _text(1000)
    sd_checkpoint = _text(1000)
    width = _whole(16, MAX_PIXELS_SIDE)
    height = _whole(16, MAX_PIXELS_SIDE)
    steps = _whole(1, 1000)
    cfg_scale = _real(0, 100)
    distilled_cfg_scale = _real(0, 100)
    sampler_name = _text()
    scheduler = _text()
    scheduler_or_quality_preset = _text()
    seed = Seed(required=False, allow_null=True)
    subseed = Seed(required=False, allow_null=True)
    subseed_strength = _real(0, 1)
    seed_resize_from_h = _whole(-1, MAX_PIXELS_SIDE)
    seed_resize_from_w = _whole(-1, MAX_PIXELS_SIDE)
    num_images = _whole(1, MAX_IMAGES)
    n_iter = _whole(1, MAX_IMAGES)
    batch_size = _whole(1, MAX_IMAGES)
    restore_faces = _truth()
    tiling = _truth()
    clip_skip = _whole(0, 12)
    denoising_strength = _real(0, 1)
    enable_hires_fix = _truth()
    enable_hr = _truth()
    hr_scale = _real(1, 8)
    hr_upscaler = _text()
    upscaler_model = _text()
    hr_second_pass_steps = _whole(0, 1000)
    hr_resize_x = _whole(0, MAX_PIXELS_SIDE)
    hr_resize_y = _whole(0, MAX_PIXELS_SIDE)
    hr_prompt = _text(MAX_PROMPT)
    hr_negative_prompt = _text(MAX_PROMPT)
    hr_checkpoint_name = _text(1000)
    hr_sampler_name = _text()
    hr_scheduler = _text()
    hr_cfg = _real(0, 100)
    hr_distilled_cfg = _real(0, 100)
    refiner_model = _text(1000)
    refiner_checkpoint = _text(1000)
    refiner_switch_at = _real(0, 1)
    init_images = serializers.ListField(
        child=PictureField(), max_length=20, required=False, allow_null=True
    )
    mask = PictureField(required=False, allow_null=True)
    mask_blur = _whole(0, 512)
    resize_mode = _whole(0, 3)
    inpainting_fill = _whole(0, 3)
    inpaint_full_res = serializers.JSONField(required=False)
    inpaint_full_res_padding = _whole(0, 4096)
    inpainting_mask_invert = _whole(0, 1)
    styles = serializers.ListField(child=Text(), max_length=50, required=False, allow_null=True)
    override_settings = serializers.DictField(required=False, allow_null=True)
    alwayson_scripts = serializers.DictField(required=False, allow_null=True)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Check what was sent, which is a few of all fields: none is required or has a default."""
        if not isinstance(data, Mapping):
            self.fail("invalid", datatype=type(data).__name__)
        known: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for name in filter(self.fields.__contains__, data):
            try:
                known[name] = self.fields[name].run_validation(data[name])
            except serializers.ValidationError as error:
                errors[name] = error.detail
        if errors:
            raise serializers.ValidationError(errors)
        unknown = {name: value for name, value in data.items() if name not in known}
        _bound_unknown(unknown)
        return {**unknown, **known}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        check_together(attrs)
        return attrs


class CommonParametersSerializer(ParametersSerializer):
    """`generation_params` of a batch: what its jobs have in common need not be all of it."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return attrs


def check_together(parameters: Mapping[str, Any]) -> None:
    """Raise ValidationError if values that are right one by one are not as a whole."""
    if not (parameters.get("positive_prompt") or parameters.get("prompt") or "").strip():
        raise serializers.ValidationError({"positive_prompt": "Say what to draw."})
    if payload.image_count(parameters) > MAX_IMAGES:
        field = "num_images" if "num_images" in parameters else "n_iter"
        raise serializers.ValidationError(
            {field: f"A job may make at most {MAX_IMAGES} pictures, all rounds together."}
        )


def given_seed(parameters: Mapping[str, Any]) -> int | None:
    """The client's seed; None where it left the choice to us."""
    asked = parameters.get("seed")
    return None if asked in (None, "", -1, "-1") else int(asked)


def draw_seed(parameters: Mapping[str, Any]) -> int:
    """The seed of a job: the client's, or a random one."""
    given = given_seed(parameters)
    return random.randrange(FORGE_SEEDS) if given is None else given


def _bound_unknown(unknown: Mapping[str, Any]) -> None:
    for name, value in unknown.items():
        if len(name) > 100:
            raise serializers.ValidationError({name[:100]: "A field's name is too long."})
        if isinstance(value, str) and len(value) > MAX_UNKNOWN_TEXT:
            raise serializers.ValidationError(
                {name: f"May have at most {MAX_UNKNOWN_TEXT} characters."}
            )
    if len(unknown) > 100:
        raise serializers.ValidationError({"generation_params": "Has too many fields."})
