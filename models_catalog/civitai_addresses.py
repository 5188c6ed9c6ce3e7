"""Which image, model or version an address of Civitai names.

Only addresses of the site itself are read, and only their numbers are taken out of them:
what we ask later is built from these.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

SITE = "civitai.com"
MAX_LENGTH = 2_000
MAX_ID = 2**53 - 1
"""The largest whole number every JSON reader keeps exact."""

_ID = "([0-9]{1,15})"
_IMAGE = re.compile(rf"/images/{_ID}/?")
_MODEL = re.compile(rf"/models/{_ID}(?:/[^/]*)?/?")
_VERSION = re.compile(rf"/(?:api/download/models|model-versions)/{_ID}/?")


class CivitaiAddressInvalid(ValueError):
    """The text is no address of the site, or names nothing that is wanted. Says so."""


@dataclass(frozen=True)
class ModelAddress:
    """What a model's address names; one of the two is known at least."""

    model_id: int | None = None
    version_id: int | None = None


def image_id(text: str) -> int:
    """Read an image's number, bare or in its address. Raises CivitaiAddressInvalid."""
    text = text.strip()
    if re.fullmatch(_ID, text):
        return int(text)
    found = _IMAGE.fullmatch(_parts(text)[0])
    if not found:
        raise CivitaiAddressInvalid(f"Give an image's number, or https://{SITE}/images/<number>.")
    return int(found[1])


def model_address(text: str) -> ModelAddress:
    """Read the address of a model, a version or a download. Raises CivitaiAddressInvalid."""
    path, query = _parts(text.strip())
    if found := _VERSION.fullmatch(path):
        return ModelAddress(version_id=int(found[1]))
    if found := _MODEL.fullmatch(path):
        version = parse_qs(query, max_num_fields=50).get("modelVersionId", [""])[-1]
        version_id = int(version) if re.fullmatch(_ID, version) else None
        return ModelAddress(model_id=int(found[1]), version_id=version_id)
    raise CivitaiAddressInvalid(
        f"Give the address of a model, like https://{SITE}/models/<number>."
    )


def _parts(text: str) -> tuple[str, str]:
    """Return the path and the query of an https address whose host is the site, exactly.

    No user, no port and no other way to write the host gets through.
    """
    try:
        address = urlsplit(text)
    except ValueError:
        address = None
    if (
        address is None
        or not text.isprintable()
        or address.scheme != "https"
        or address.netloc.lower() != SITE
    ):
        raise CivitaiAddressInvalid(f"Only addresses that begin with https://{SITE}/ are taken.")
    return address.path, address.query
