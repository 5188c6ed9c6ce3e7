"""Drawing small pictures that look like something, the same for the same recipe.

A picture half done is the finished one under noise, as an interrupted one is in Forge.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
import random
import struct
import zlib
from collections.abc import Sequence

from PIL import Image, ImageDraw, PngImagePlugin, UnidentifiedImageError

from servers.simulator.errors import RefusalError

_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_LOCAL_HOSTS = ("http://localhost", "https://localhost", "http://127.", "https://127.")


def draw(key: str, size: tuple[int, int], done: float = 1.0) -> Image.Image:
    """A sky with discs and hills chosen by `key`; `done` from 0 (all noise) to 1."""
    rng = random.Random(key)
    width, height = size
    top, bottom = _colour(rng), _colour(rng)
    sky = Image.new("RGB", (1, 2))
    sky.putpixel((0, 0), top)
    sky.putpixel((0, 1), bottom)
    picture = sky.resize(size, Image.Resampling.BILINEAR)
    pencil = ImageDraw.Draw(picture)
    for _ in range(rng.randint(2, 4)):
        x, y = rng.randrange(width), rng.randrange(height)
        radius = max(2, int(min(size) * rng.uniform(0.05, 0.18)))
        pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=_colour(rng))
    for layer in range(3):
        base, swing = height * (0.6 + 0.13 * layer), height * rng.uniform(0.03, 0.1)
        phase, waves = rng.uniform(0, 6.3), rng.uniform(0.7, 2.5)
        edge = [
            (width * i / 16, base + swing * math.sin(phase + waves * 6.3 * i / 16))
            for i in range(17)
        ]
        pencil.polygon([*edge, (width, height), (0, height)], fill=_colour(rng))
    return picture if done >= 1 else Image.blend(_noise(rng, size), picture, max(done, 0.0) * 0.6)


def over(start: Image.Image, drawn: Image.Image, strength: float) -> Image.Image:
    """An image-to-image result: the start picture, changed as far as `strength` says."""
    base = start.convert("RGB").resize(drawn.size)
    return Image.blend(base, drawn, min(max(strength, 0.0), 1.0))


def grid(pictures: Sequence[Image.Image]) -> Image.Image:
    """All pictures of a run in one, in about as many rows as columns."""
    rows = max(1, round(math.sqrt(len(pictures))))
    columns = math.ceil(len(pictures) / rows)
    width, height = pictures[0].size
    sheet = Image.new("RGB", (columns * width, rows * height))
    for index, picture in enumerate(pictures):
        sheet.paste(picture, ((index % columns) * width, (index // columns) * height))
    return sheet


def encode(picture: Image.Image, infotext: str = "", file_format: str = "png") -> bytes:
    """The picture as a file; PNG carries `infotext` as `parameters`, others as UserComment."""
    buffer = io.BytesIO()
    if file_format.lower() in ("jpg", "jpeg", "webp"):
        exif = Image.Exif()
        comment = b"UNICODE\x00" + infotext.encode("utf-16-be")
        exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = comment
        kind = "WEBP" if file_format.lower() == "webp" else "JPEG"
        picture.save(buffer, kind, quality=80, exif=exif)
    else:
        chunks = PngImagePlugin.PngInfo()
        if infotext:
            chunks.add_text("parameters", infotext)
        picture.save(buffer, "PNG", pnginfo=chunks, compress_level=1)
    return buffer.getvalue()


def claims_to_be_huge() -> bytes:
    """A small PNG, whole by all its checksums, that would unpack to a hundred gigabytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 180_000, 180_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1_000_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> Image.Image:
    """The picture a client sent as base64 or data URI. Raises RefusalError 500 as Forge does.

    The simulator fetches nothing: an address is refused, local or not.
    """
    if text.startswith(("http://", "https://")):
        local = text.startswith(_LOCAL_HOSTS)
        raise RefusalError(
            500, "Request to local resource not allowed" if local else "Invalid image url"
        )
    encoded = text.split(";", 1)[1].split(",", 1)[1] if text.startswith("data:image/") else text
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
        picture.load()
    except (
        UnidentifiedImageError,
        Image.DecompressionBombError,
        OSError,
        ValueError,
        SyntaxError,
        binascii.Error,
    ) as error:
        raise RefusalError(500, "Invalid encoded image") from error
    return picture


def _colour(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(30, 226), rng.randrange(30, 226), rng.randrange(30, 226)


def _noise(rng: random.Random, size: tuple[int, int]) -> Image.Image:
    small = max(1, size[0] // 8), max(1, size[1] // 8)
    return Image.frombytes("RGB", small, rng.randbytes(small[0] * small[1] * 3)).resize(size)
