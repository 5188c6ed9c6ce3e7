"""The values Forge never checks, and the exceptions its code then dies of."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from servers.simulator.errors import RunError

MAX_PIXELS = 8192 * 8192
MAX_PICTURES = 256
OUT_OF_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB."
"""Shaped like PyTorch's; no recording shows how Forge answers it."""

_NUMBERS = ("width", "height", "steps", "n_iter", "batch_size", "cfg_scale")


def refuse_the_impossible(
    request: Mapping[str, Any], *, upscalers: Collection[str], checkpoint_known: bool
) -> None:
    """Fail as Forge would on this request. Raises RunError.

    `checkpoint_known` is about the refiner's. Too large a request is out of memory here
    where a real GPU may still manage it: the simulator keeps its own memory bounded.
    """
    if request["prompt"] is None or request["negative_prompt"] is None:
        raise RunError("AssertionError", "")
    if any(request[name] is None for name in _NUMBERS):
        raise RunError("TypeError", "'NoneType' object cannot be interpreted as an integer")
    if request["n_iter"] <= 0 or request["batch_size"] <= 0:
        raise RunError("IndexError", "list index out of range")
    if request["refiner_checkpoint"] and not checkpoint_known:
        name = request["refiner_checkpoint"]
        raise RunError("Exception", f"Could not find checkpoint with name {name}")
    upscaler = request.get("hr_upscaler")
    if request.get("enable_hr") and upscaler and upscaler not in upscalers:
        raise RunError("Exception", f"could not find upscaler named {upscaler}")
    if request.get("init_images") == []:
        raise RunError(
            "IndexError", "Dimension out of range (expected to be in range of [-1, 0], but got 1)"
        )
    _refuse_impossible_work(request)


def _refuse_impossible_work(request: Mapping[str, Any]) -> None:
    width, height, steps = request["width"], request["height"], request["steps"]
    if "init_images" in request and request["denoising_strength"] is None:
        raise RunError("TypeError", "'<' not supported between instances of 'float' and 'NoneType'")
    if steps == 0:
        raise RunError("ZeroDivisionError", "integer division or modulo by zero")
    if steps < 0:
        raise RunError("RuntimeError", "number of steps must be non-negative")
    if width < 8 or height < 8:
        raise RunError(
            "RuntimeError",
            f"Calculated padded input size per channel: ({height // 8 + 2} x {width // 8 + 2}). "
            "Kernel size: (3 x 3). Kernel size can't be greater than actual input size",
        )
    scale = max(request.get("hr_scale") or 1, 1) if request.get("enable_hr") else 1
    pixels = max(width * height * scale**2, _hires_pixels(request))
    if pixels > MAX_PIXELS or request["n_iter"] * request["batch_size"] > MAX_PICTURES:
        raise RunError("OutOfMemoryError", OUT_OF_MEMORY)


def _hires_pixels(request: Mapping[str, Any]) -> int:
    wide, high = request.get("hr_resize_x") or 0, request.get("hr_resize_y") or 0
    return int(max(wide, 1) * max(high, 1))
