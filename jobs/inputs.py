"""Pictures that clients send along: kept as files by their SHA-256, shown as references."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from jobs.errors import InputInvalid, InputNotFound
from jobs.models import Input, Job

FIELDS = frozenset({"init_images", "mask", "image", "input_image", "mask_image"})
"""Where a client puts pictures: in the request itself, or in the arguments of a script."""

CONTENT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
MAX_PIXELS = 64_000_000
MAX_INPUTS = 20


def keep(body: Mapping[str, Any]) -> tuple[dict[str, Any], list[Input]]:
    """Store every picture in `body` and put a reference in its place.

    Files are written before their rows. Raises InputInvalid naming the place in `body`.
    """
    found: dict[str, Input] = {}
    replaced = {name: _keep_in(name, name, value, found) for name, value in body.items()}
    # In one order for all, as this may be part of a longer transaction: no two wait in a ring.
    kept = [found[sha256] for sha256 in sorted(found)]
    Input.objects.bulk_create(kept, ignore_conflicts=True)
    return replaced, kept


def reader_of(job: Job) -> Callable[[str], str]:
    """Read the inputs of a job, as base64 by their SHA-256, and nothing else.

    The reader raises InputNotFound for any other name: what looks like a reference in the
    parameters may have been written there by the client.
    """

    def read(sha256: str) -> str:
        if not job.inputs.filter(sha256=sha256).exists():
            raise InputNotFound
        try:
            return base64.b64encode(path_of(sha256).read_bytes()).decode()
        except FileNotFoundError as error:
            raise InputNotFound from error

    return read


def path_of(sha256: str) -> Path:
    """Where the input with this SHA-256, taken from the database, lies."""
    return Path(settings.INPUTS_DIR) / sha256[:2] / sha256


def _keep_in(path: str, name: str, value: Any, found: dict[str, Input]) -> Any:
    if name in FIELDS and value and isinstance(value, str):
        return _reference(_counted(path, _store(path, value), found))
    if name in FIELDS and isinstance(value, dict) and "sha256" in value:
        return _reference(_counted(path, _sent_before(path, value["sha256"]), found))
    if isinstance(value, dict):
        return {key: _keep_in(f"{path}.{key}", key, item, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_keep_in(f"{path}.{index}", name, item, found) for index, item in enumerate(value)]
    return value


def _counted(path: str, stored: Input, found: dict[str, Input]) -> Input:
    found[stored.sha256] = stored
    if len(found) > MAX_INPUTS:
        raise InputInvalid(path, f"At most {MAX_INPUTS} pictures may be sent at a time.")
    return stored


def _reference(stored: Input) -> dict[str, Any]:
    """What stands in the parameters in a picture's place."""
    url = f"/api/v1/inputs/{stored.sha256}"
    return {"sha256": stored.sha256, "bytes": stored.bytes, "url": url}


def _sent_before(field: str, sha256: Any) -> Input:
    stored = Input.objects.filter(sha256=str(sha256)[:64]).first()
    if stored is None:
        raise InputInvalid(field, "No picture with this SHA-256 is kept here; send it again.")
    return stored


def _store(field: str, text: str) -> Input:
    """Write the picture's file; its row is still to be stored."""
    content = _decode(field, text)
    content_type = _content_type(field, content)
    sha256 = hashlib.sha256(content).hexdigest()
    target = path_of(sha256)
    if not target.exists():
        _write(target, content)
    return Input(sha256=sha256, bytes=len(content), content_type=content_type)


def _decode(field: str, text: str) -> bytes:
    if text.startswith(("http://", "https://", "file:")):
        # Fetching an address a client names would let it reach into the home network.
        raise InputInvalid(field, "Send the picture itself as base64, not its address.")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputInvalid(field, "This is not base64.") from error


def _content_type(field: str, content: bytes) -> str:
    try:
        with Picture.open(io.BytesIO(content), formats=list(CONTENT_TYPES)) as picture:
            kind, (width, height) = picture.format or "", picture.size
    except (UnidentifiedImageError, OSError, ValueError, Picture.DecompressionBombError) as error:
        raise InputInvalid(field, "This is no PNG, JPEG or WebP picture.") from error
    if width * height > MAX_PIXELS:
        raise InputInvalid(field, f"A picture may have at most {MAX_PIXELS} pixels.")
    return CONTENT_TYPES[kind]


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as draft:
        draft.write(content)
        draft.flush()
        os.fsync(draft.fileno())
    Path(draft.name).replace(target)
