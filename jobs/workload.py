"""How much there is to draw: steps times pixels. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs import payload

_SIDE, _STEPS, _HR_SCALE = 512, 20, 2.0
"""What Forge takes where nothing is said."""


def work_of(parameters: Mapping[str, Any]) -> float:
    """Steps times pixels of all pictures of a job, with those of a hires pass.

    >>> work_of({"width": 1000, "height": 1000, "steps": 10, "num_images": 2})
    20000000.0
    >>> work_of({"width": 100, "height": 100, "steps": 10, "enable_hr": True, "hr_scale": 3})
    1000000.0
    """
    width, height = parameters.get("width") or _SIDE, parameters.get("height") or _SIDE
    steps = parameters.get("steps") or _STEPS
    each = float(width * height * steps)
    if parameters.get("enable_hr") or parameters.get("enable_hires_fix"):
        wide, high = parameters.get("hr_resize_x"), parameters.get("hr_resize_y")
        scale = parameters.get("hr_scale") or _HR_SCALE
        pixels = wide * high if wide and high else width * height * scale**2
        each += pixels * (parameters.get("hr_second_pass_steps") or steps)
    return each * payload.image_count(parameters)
