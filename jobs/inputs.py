"""Pictures that clients send along: kept as files by their SHA-256, shown as references.

One that no job uses any more is removed, file and row. Whoever is about to use one holds its
row until the job is stored, and whoever removes one holds it until the file is gone; so a
picture is either there for the new job or written again for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from PIL import Image as Picture
from PIL import UnidentifiedImageError

from jobs.errors import InputInvalid, InputNotFound, InputsUnwritable
from jobs.models import Input, Job

FIELDS = frozenset({"init_images", "mask", "image", "input_image", "mask_image"})
"""Where a client puts pictures: in the request itself, or in the arguments of a script."""

CONTENT_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}
MAX_PIXELS = 64_000_000
MAX_INPUTS = 20
DRAFT = "draft-"
"""How the name of a file begins that is being written."""


@contextmanager
def kept(body: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], list[Input]]]:
    """Store every picture in `body`, with a reference put in its place, and keep them all
    until the block has stored what uses them.

    With pictures the block is a transaction, which must end soon. Raises InputInvalid naming
    the place in `body`, InputsUnwritable.
    """
    found: dict[str, _Found] = {}
    replaced = {name: _keep_in(name, name, value, found) for name, value in body.items()}
    with transaction.atomic() if found else nullcontext():
        # In one order for all: no two wait in a ring.
        rows = [_hold(found[sha256]) for sha256 in sorted(found)]
        yield replaced, rows


def forget_unused(sha256s: Iterable[str]) -> int:
    """Remove those of the inputs that no job uses, with their files. Returns how many."""
    return sum(_forget(sha256) for sha256 in sha256s)


def forget_file(sha256: str) -> bool:
    """Remove the file of an input that has no row. False if it has one by now."""
    with transaction.atomic():
        stray = Input(sha256=sha256, bytes=0, content_type="")
        # Waits for whoever is about to use the file; that one's row is then in the way.
        if not _insert(stray):
            return False
        path_of(sha256).unlink(missing_ok=True)
        Input.objects.filter(sha256=sha256).delete()
    return True


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


def _forget(sha256: str) -> bool:
    with transaction.atomic():
        row = Input.objects.filter(sha256=sha256)
        if row.select_for_update().first() is None:
            return False
        # Asked only now, as who held the row before may have stored a job that uses it.
        if Job.inputs.through.objects.filter(input_id=sha256).exists():
            return False
        path_of(sha256).unlink(missing_ok=True)
        row.delete()
    return True


class _Found(NamedTuple):
    """A picture of a request. Without content it was named by its hash alone."""

    row: Input
    place: str
    content: bytes | None


def _hold(found: _Found) -> Input:
    """Keep the picture, row and file, until the transaction ends."""
    while not _insert(found.row):
        # Shared with others who use it; against whoever would remove it.
        with connection.cursor() as cursor:
            cursor.execute(_KEEP, [found.row.sha256])
            if cursor.rowcount:
                break
    if not path_of(found.row.sha256).exists():
        if found.content is None:
            raise InputInvalid(found.place, _SEND_AGAIN)
        _write(found.row.sha256, found.content)
    return found.row


def _insert(row: Input) -> bool:
    """Store the row unless there is one; waits for who is storing or removing it."""
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [row.sha256, row.bytes, row.content_type])
        return bool(cursor.rowcount)


_INSERT = """
    INSERT INTO jobs_input (sha256, bytes, content_type) VALUES (%s, %s, %s)
    ON CONFLICT (sha256) DO NOTHING
"""
_KEEP = "SELECT 1 FROM jobs_input WHERE sha256 = %s FOR KEY SHARE"


def _keep_in(path: str, name: str, value: Any, found: dict[str, _Found]) -> Any:
    if name in FIELDS and value and isinstance(value, str):
        return _reference(_counted(_sent_now(path, value), found))
    if name in FIELDS and isinstance(value, dict) and "sha256" in value:
        return _reference(_counted(_sent_before(path, value["sha256"]), found))
    if isinstance(value, dict):
        return {key: _keep_in(f"{path}.{key}", key, item, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_keep_in(f"{path}.{index}", name, item, found) for index, item in enumerate(value)]
    return value


def _counted(found: _Found, all_found: dict[str, _Found]) -> Input:
    all_found.setdefault(found.row.sha256, found)
    if len(all_found) > MAX_INPUTS:
        raise InputInvalid(found.place, f"At most {MAX_INPUTS} pictures may be sent at a time.")
    return found.row


def _reference(stored: Input) -> dict[str, Any]:
    """What stands in the parameters in a picture's place."""
    url = f"/api/v1/inputs/{stored.sha256}"
    return {"sha256": stored.sha256, "bytes": stored.bytes, "url": url}


def _sent_before(place: str, sha256: Any) -> _Found:
    stored = Input.objects.filter(sha256=str(sha256)[:64]).first()
    if stored is None:
        raise InputInvalid(place, _SEND_AGAIN)
    return _Found(stored, place, None)


_SEND_AGAIN = "No picture with this SHA-256 is kept here; send it again."


def _sent_now(place: str, text: str) -> _Found:
    content = _decode(place, text)
    row = Input(
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        content_type=_content_type(place, content),
    )
    return _Found(row, place, content)


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


def _write(sha256: str, content: bytes) -> None:
    target = path_of(sha256)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=DRAFT, delete=False) as draft:
            draft.write(content)
            draft.flush()
            os.fsync(draft.fileno())
        Path(draft.name).replace(target)
    except OSError as error:
        raise InputsUnwritable(error.strerror or type(error).__name__) from error
