"""How long the model files of a large folder take: to be found, to be hashed, to be listed."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.report import Row
from bench.stack import Stack
from models_catalog.digests import digests_of

_FILES, _QUICK_FILES = 2_000, 400
_SIZE = 2 * 1024 * 1024
_LARGE = 512 * 1024 * 1024
_PICTURE = b"\xff\xd8\xff\xe0" + bytes(20_000)
_SCAN, _RESCAN, _LIST = "10 s", "1 s", "60 ms"
"""What they may take."""


def catalogue(stack: Stack, *, quick: bool) -> list[Row]:
    """A first scan of 2,000 files, another one, their hashes, and the list of them all."""
    count = _QUICK_FILES if quick else _FILES
    _fill(stack.models, count)
    first = _scan(stack, count)
    hashed = _wait_for_hashes(stack)
    again = [_scan(stack, count) for _ in range(3)]
    listed = _times_of_list(stack, count, 20 if quick else 100)
    summed = _seconds_of_sha256sum(sorted(stack.models.glob("*/*.safetensors")))
    return [
        Row(f"first scan of {count} files", (), f"{first:.2f} s", _SCAN),
        Row("scan without changes", again, "", _RESCAN),
        Row(
            f"hashing of {count} files, nicely",
            (),
            f"{count * _SIZE / hashed / 2**20:.0f} MiB/s",
            f"sha256sum {count * _SIZE / summed / 2**20:.0f} MiB/s",
            summed / hashed,
        ),
        _one_large_file(stack.models.parent / "large"),
        Row(f"list of {count} model files", listed, "", _LIST),
    ]


def _fill(folder: Path, count: int) -> None:
    """Make files as a trainer of LoRAs writes them, each with a preview; no weights."""
    for number in range(count):
        path = folder / f"style-{number % 40}" / f"file_{number:04}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(_header(number))
            file.truncate(_SIZE)
        path.with_suffix(".preview.png").write_bytes(_PICTURE)


def _header(number: int) -> bytes:
    told: dict[str, Any] = {
        "__metadata__": {
            "ss_base_model_version": "sdxl_base_v1-0",
            "ss_output_name": f"file_{number:04}",
            "ss_network_module": "networks.lora",
            "ss_tag_frequency": json.dumps({"10_x": {f"tag {n}": n for n in range(300)}}),
            "sshs_model_hash": hashlib.sha256(str(number).encode()).hexdigest(),
        }
    }
    at = 0
    for block in range(722):
        name = f"lora_unet_down_blocks_2_attentions_1_transformer_blocks_{block}_attn2_to_k"
        for part, shape in (("lora_down.weight", [16, 16]), ("lora_up.weight", [16, 16])):
            offsets = [at, at + 512]
            told[f"{name}.{part}"] = {"dtype": "F16", "shape": shape, "data_offsets": offsets}
            at += 512
    text = json.dumps(told).encode()
    return struct.pack("<Q", len(text)) + text


def _scan(stack: Stack, count: int) -> float:
    """Have the folder scanned. Returns the seconds the scan itself took."""
    wanted = stack.api.call("POST", "/api/v1/models/scan", {})["scan"]

    def ended() -> dict[str, Any] | None:
        told: dict[str, Any] = stack.api.call("GET", "/api/v1/models/scan")["scan"]
        return told if told["id"] >= wanted["id"] and told["state"] == "finished" else None

    told = stack.clock.wait_until(ended, "the scan", every=0.2)
    if told is None or told["seen"] != count:
        raise BenchError(f"The scan saw {told and told['seen']} files instead of {count}.")
    began, ended_at = (datetime.fromisoformat(told[name]) for name in ("started_at", "ended_at"))
    return (ended_at - began).total_seconds()


def _wait_for_hashes(stack: Stack) -> float:
    """Wait until all files are hashed. Returns the seconds from the first one to the last."""

    def waiting() -> int:
        told: int = stack.api.call("GET", "/api/v1/models/scan")["waiting_to_be_hashed"]
        return told

    before = waiting()
    stack.clock.wait_until(lambda: waiting() < before, "the first hashes")
    began = time.monotonic()
    stack.clock.wait_until(lambda: not waiting(), "the hashes")
    return time.monotonic() - began


def _seconds_of_sha256sum(paths: list[Path]) -> float:
    began = time.monotonic()
    subprocess.run(["sha256sum", *paths], stdout=subprocess.DEVNULL, check=True)  # noqa: S603, S607
    return time.monotonic() - began


def _one_large_file(path: Path) -> Row:
    """Hash one file as the product does, and as sha256sum does, in turns; the best of each."""
    with path.open("wb") as file:
        os.truncate(file.fileno(), _LARGE)
    ours, theirs = [], []
    for _ in range(3):
        began = time.monotonic()
        with path.open("rb") as file:
            digests_of(file)
        ours.append(time.monotonic() - began)
        theirs.append(_seconds_of_sha256sum([path]))
    path.unlink()
    return Row(
        "hashing of one large file",
        (),
        f"{_LARGE / min(ours) / 2**20:.0f} MiB/s",
        f"sha256sum {_LARGE / min(theirs) / 2**20:.0f} MiB/s",
        min(theirs) / min(ours),
    )


def _times_of_list(stack: Stack, count: int, repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        began = time.monotonic()
        told = stack.api.call("GET", "/api/v1/models?type=checkpoint")
        times.append(time.monotonic() - began)
        if told["count"] < count or not told["models"][0]["has_preview"]:
            raise BenchError(f"The list has {told['count']} model files instead of {count}.")
    return times
