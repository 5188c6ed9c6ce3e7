"""What Forge reads out of an infotext, with the values it assumes for what is not said."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_PAIR = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"^(\d+)x(\d+)$")


def read_infotext(infotext: str) -> dict[str, Any]:
    """The values by their names; empty for an empty text."""
    if not infotext:
        return {}
    *prompt_lines, last = infotext.split("\n")
    prompt, _, negative = "\n".join(prompt_lines).partition("Negative prompt:")
    return {
        **dict(_read_pairs(_PAIR.findall(last))),
        "Prompt": prompt.strip(),
        "Negative prompt": negative.strip(),
        **_INFOTEXT_DEFAULTS,
    }


def _read_pairs(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for key, value in pairs:
        if key == "Model":
            continue
        text = json.loads(value) if value.startswith('"') else value
        size = _SIZE.match(text)
        if size:
            yield f"{key}-1", size[1]
            yield f"{key}-2", size[2]
        else:
            yield key, text


_INFOTEXT_DEFAULTS: dict[str, Any] = {
    "Clip skip": "1",
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
    "Refiner switch by sampling steps": False,
    "Hires VAE/TE": ["Use same choices"],
}
