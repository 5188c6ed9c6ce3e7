"""Reading PNG files that somebody else made."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image, PngImagePlugin

from servers.foreign_data import MAX_PNG_TEXT, is_whole_png, png_size, png_text

INFOTEXT = "a cat\nSteps: 20, Sampler: Euler, Seed: 5"


def picture(text: str = "", *, packed: bool = False, international: bool = False) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    if international:
        chunks.add_itxt("parameters", text, zip=packed)
    elif text:
        chunks.add_text("parameters", text, zip=packed)
    buffer = io.BytesIO()
    Image.new("RGB", (16, 8)).save(buffer, "PNG", pnginfo=chunks)
    return buffer.getvalue()


def with_chunk(kind: bytes, content: bytes) -> bytes:
    """A picture with one more chunk in front of its pixels."""
    whole = picture()
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    chunk = struct.pack(">I", len(content)) + kind + content + checksum
    return whole[:33] + chunk + whole[33:]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("text", "international"), [(INFOTEXT, False), (INFOTEXT, True), ("ein Kätzchen 猫", True)]
)
def test_a_pictures_text_is_read_in_each_of_its_forms(
    text: str, packed: bool, international: bool
) -> None:
    assert png_text(picture(text, packed=packed, international=international), "parameters") == text


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        picture(),
        picture(INFOTEXT)[:40],
        with_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * (MAX_PNG_TEXT + 1))),
        with_chunk(b"zTXt", b"parameters\0\0no packed text"),
        with_chunk(b"iTXt", b"parameters\0\0\0\0\0\xff\xfe"),
        with_chunk(b"iTXt", b"parameters\0\1"),
        with_chunk(b"tEXt", b"comment\0parameters"),
    ],
)
def test_a_text_that_is_missing_or_cannot_be_read_is_empty(data: bytes) -> None:
    assert png_text(data, "parameters") == ""


def test_text_is_made_fit_for_the_database() -> None:
    assert png_text(with_chunk(b"tEXt", b"parameters\0a\0b"), "parameters") == "ab"


def test_the_size_is_what_the_header_says() -> None:
    assert png_size(picture()) == (16, 8)
    assert png_size(b"no picture") == (0, 0)


def test_a_picture_is_whole_up_to_its_last_byte() -> None:
    whole = picture(INFOTEXT)

    assert is_whole_png(whole)
    assert not any(is_whole_png(whole[:cut]) for cut in range(len(whole)))
    assert not is_whole_png(whole + b"\0")
