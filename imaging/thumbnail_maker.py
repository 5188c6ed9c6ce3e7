"""A program that makes thumbnails, so that a picture made to kill its reader kills only this.

`python -m imaging.thumbnail_maker` reads orders from its standard input, one JSON object a
line: `{"source": path, "targets": {path: longest side}}`. It answers each with a line:
`{"bytes": n}` when all are made, `{"spoiled": why}` when the picture is at fault,
`{"storage": why}` when the disk is. Memory, processor time and the size of what is written
are bounded by the kernel. Knows nothing of Django.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from pathlib import Path

from PIL import Image as Picture
from PIL import ImageFile

MAX_PIXELS = 64_000_000
MAX_SOURCE_BYTES = 256 * 1024 * 1024
MAX_MEMORY = 1024 * 1024 * 1024
MAX_SECONDS = 120
"""Of processor time, for all orders together."""
MAX_WRITTEN = 16 * 1024 * 1024
FORMATS = ("PNG", "JPEG", "WEBP")
QUALITY = 80


def main() -> None:
    """Carry out the orders, one after the other."""
    _be_confined()
    for line in sys.stdin.buffer:
        order = json.loads(line)
        answer = _carry_out(Path(order["source"]), order["targets"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _be_confined() -> None:
    os.nice(10)
    for limit, most in (
        (resource.RLIMIT_AS, MAX_MEMORY),
        (resource.RLIMIT_CPU, MAX_SECONDS),
        (resource.RLIMIT_FSIZE, MAX_WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _carry_out(source: Path, targets: dict[str, int]) -> dict[str, object]:
    try:
        if source.stat().st_size > MAX_SOURCE_BYTES:
            return {"spoiled": "too many bytes"}
        content = source.read_bytes()
    except OSError as error:
        return {"storage": str(error)}
    try:
        made = _shrink(content, targets)
    except Exception as error:  # noqa: BLE001  # whatever a decoder may raise
        return {"spoiled": f"{type(error).__name__}: {error}"[:200]}
    try:
        for target, thumbnail in made.items():
            _put(Path(target), thumbnail)
    except OSError as error:
        return {"storage": str(error)}
    return {"bytes": sum(map(len, made.values()))}


def _shrink(content: bytes, targets: dict[str, int]) -> dict[str, bytes]:
    """The thumbnails by their paths. Raises whatever the decoder does."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    made = {}
    with Picture.open(io.BytesIO(content), formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width} x {height} pixels")
        # Of several frames only the first is ever decoded.
        picture.load()
        shrunk = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    # The largest first: each is made from the one before.
    for target, longest in sorted(targets.items(), key=lambda item: -item[1]):
        shrunk.thumbnail((longest, longest), Picture.Resampling.LANCZOS, reducing_gap=3.0)
        file = io.BytesIO()
        shrunk.save(file, "WEBP", quality=QUALITY, method=4)
        made[target] = file.getvalue()
    return made


def _put(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{os.getpid()}.draft")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
