"""Folders of model files, made by hand: real headers, no weights."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

SDXL_TENSORS = {
    "conditioner.embedders.0.transformer.text_model.embeddings.position_embedding.weight": [77, 8],
    "model.diffusion_model.label_emb.0.0.weight": [8, 2816],
}
SD1_TENSORS = {"cond_stage_model.transformer.text_model.embeddings.position_ids": [1, 77]}
LORA_TENSORS = {"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": [8, 16]}


def header_bytes(
    shapes: dict[str, list[int]], metadata: dict[str, str] | None = None
) -> tuple[bytes, int]:
    """A header for float16 tensors of these shapes, and how many bytes they take."""
    told: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    at = 0
    for name, shape in shapes.items():
        length = 2
        for side in shape:
            length *= side
        told[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + length]}
        at += length
    text = json.dumps(told).encode()
    return struct.pack("<Q", len(text)) + text, at


def safetensors(
    shapes: dict[str, list[int]] | None = None,
    metadata: dict[str, str] | None = None,
    fill: bytes = b"w",
) -> bytes:
    """A whole small file."""
    header, length = header_bytes(SDXL_TENSORS if shapes is None else shapes, metadata)
    return header + fill * length


def put(path: Path, content: bytes | None = None) -> Path:
    """Write a file, of an SDXL checkpoint if nothing else is given, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(safetensors() if content is None else content)
    return path
