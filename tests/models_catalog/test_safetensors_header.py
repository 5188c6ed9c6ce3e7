"""Headers as they are, and headers made to break their reader."""

from __future__ import annotations

import io
import json
import resource
import struct
import subprocess
import sys

import pytest

from models_catalog.safetensors_header import MAX_HEADER, HeaderUnreadable, read_header
from tests.models_catalog.model_folders import SDXL_TENSORS, safetensors


def read(content, size=None):
    return read_header(io.BytesIO(content), len(content) if size is None else size)


def with_header(text, tensors=b""):
    text = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(text)) + text + tensors


def one(tensor):
    return with_header(json.dumps({"a": tensor}), bytes(64))


def test_names_shapes_and_words_are_read():
    content = safetensors(metadata={"ss_v2": "True", "modelspec.title": "Ünicode"})

    header = read(content)

    assert header.metadata == {"ss_v2": "True", "modelspec.title": "Ünicode"}
    assert {name: list(shape) for name, shape in header.shapes.items()} == SDXL_TENSORS
    assert header.length == 8 + struct.unpack("<Q", content[:8])[0]


@pytest.mark.parametrize("content", [b"{}", b"{}        ", b'{"__metadata__":{}}'])
def test_a_header_may_be_empty_and_padded(content):
    assert read(with_header(content)).shapes == {}


HOSTILE = {
    "empty": b"",
    "seven bytes": b"1234567",
    "longer than any file": struct.pack("<Q", 2**63) + b"{}",
    "negative for some": struct.pack("<Q", 2**64 - 1) + b"{}",
    "shorter than its header": struct.pack("<Q", 100) + b"{}",
    "a list": with_header("[]"),
    "a web page": with_header("<!doctype html>"),
    "not closed": with_header('{"a": '),
    "not UTF-8": with_header(b'{"\xff": {}}'),
    "UTF-16": with_header('{"a": 1}'.encode("utf-16-le")),
    "the same name twice": with_header('{"a": 1, "a": 2}'),
    "deep": with_header('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "deep objects": with_header('{"a": ' * 50_000),
    "no number": with_header('{"a": NaN}'),
    "a number of a million digits": with_header('{"a": ' + "9" * 1_000_000 + "}"),
    "a tensor that is a word": one("F16"),
    "a tensor without a place": one({"dtype": "F16", "shape": [1]}),
    "a tensor beyond the end": one({"dtype": "F16", "shape": [1], "data_offsets": [0, 65]}),
    "a tensor backwards": one({"dtype": "F16", "shape": [1], "data_offsets": [2, 0]}),
    "a negative place": one({"dtype": "F16", "shape": [1], "data_offsets": [-2, 0]}),
    "a negative side": one({"dtype": "F16", "shape": [-1], "data_offsets": [0, 2]}),
    "a hundred dimensions": one({"dtype": "F16", "shape": [1] * 100, "data_offsets": [0, 2]}),
    "metadata that are a list": with_header('{"__metadata__": []}'),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_header_is_refused_in_a_few_words(content):
    with pytest.raises(HeaderUnreadable) as refusal:
        read(content)

    assert 5 < len(str(refusal.value)) < 100


def test_words_that_are_no_text_are_passed_over():
    told = with_header('{"__metadata__": {"a": 1, "b": [], "c": "text"}}')

    assert read(told).metadata == {"c": "text"}


def test_the_tensors_are_not_read():
    class Watched(io.BytesIO):
        def read(self, size=-1):
            assert size >= 0
            assert self.tell() + size <= header_ends
            return super().read(size)

    content = safetensors()
    header_ends = 8 + struct.unpack("<Q", content[:8])[0]

    assert read_header(Watched(content), len(content)).shapes


FILLING = {
    "a million tensors": '"%s": {"dtype": "F16", "shape": [1], "data_offsets": [0, 0]},',
    "empty lists": "[],",
    "empty objects": "{},",
    "short texts": '"%s",',
    "quotes": '\\"',
    "numbers": "1e5,",
}


@pytest.mark.parametrize("piece", FILLING.values(), ids=FILLING)
def test_the_largest_header_takes_little_memory(piece, tmp_path):
    """In a process of its own, whose memory the kernel bounds."""
    room = MAX_HEADER - 200
    if "%s" in piece:
        pieces = [piece % f"{number:06}" for number in range(room // len(piece % "000000"))]
        text = "".join(pieces)
    else:
        text = piece * (room // len(piece))
    opened = '{"a":[' if not piece.startswith('"%s":') else "{"
    (tmp_path / "hostile.safetensors").write_bytes(with_header(opened + text + "0]}"))
    limited = 300 * 2**20

    outcome = subprocess.run(
        [sys.executable, "-c", _READ, tmp_path / "hostile.safetensors"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limited, limited)),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert outcome.stdout.startswith("refused"), outcome.stderr


_READ = """
import pathlib, sys
from models_catalog.safetensors_header import HeaderUnreadable, read_header
path = pathlib.Path(sys.argv[1])
with path.open("rb") as file:
    try:
        read_header(file, path.stat().st_size)
    except HeaderUnreadable as error:
        print("refused", error)
"""
