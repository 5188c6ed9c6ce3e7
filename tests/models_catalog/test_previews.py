"""Which pictures of a model file there are."""

from __future__ import annotations

import base64
import json

import pytest

from models_catalog.previews import content_type_of, embedded
from models_catalog.safetensors_header import Header
from tests.factories import png

PICTURE = png()
TEXT = base64.b64encode(PICTURE).decode()


def inside(**metadata):
    words = {name.replace("__", "."): value for name, value in metadata.items()}
    return embedded(Header(8, words))


def test_a_thumbnail_and_covers_inside_the_file_are_found():
    found = inside(
        modelspec__thumbnail=f"data:image/jpeg;base64,{TEXT}",
        ssmd_cover_images=json.dumps([TEXT, TEXT]),
    )

    assert found == [PICTURE] * 3


@pytest.mark.parametrize(
    "text",
    [
        *("", "no base64 at all!", "data:text/html;base64,PHNjcmlwdD4=", "PHNjcmlwdD4="),
        *("data:image/png,abc", "https://example.com/x.png", TEXT[:7], "[" * 1000),
    ],
)
def test_what_is_no_picture_is_passed_over(text):
    assert inside(modelspec__thumbnail=text, ssmd_cover_images=text) == []
    assert inside(ssmd_cover_images=json.dumps([text, 1, None, {}])) == []


def test_of_many_covers_a_few_are_taken():
    assert len(inside(ssmd_cover_images=json.dumps([TEXT] * 1000))) == 8


@pytest.mark.parametrize(
    ("beginning", "content_type"),
    [
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"GIF89a......", "image/gif"),
        (b"<svg xmlns=", None),
        (b"<!doctype html>", None),
        (b"SIMPLE  =  ", None),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"\0\0\0\x20ftypavif", None),
        (b"", None),
    ],
)
def test_the_first_bytes_say_what_a_picture_is(beginning, content_type):
    assert content_type_of(beginning) == content_type
