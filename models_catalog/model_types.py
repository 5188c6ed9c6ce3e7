"""The types of model files."""

from __future__ import annotations

from typing import Literal

ModelType = Literal["checkpoint", "lora"]
