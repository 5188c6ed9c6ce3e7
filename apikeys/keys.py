"""What a key and its secret look like, and how they travel in a request's headers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_KEY_LENGTH = 64
MAX_SECRET_LENGTH = 256
_MAX_BEARER_LENGTH = 2 * (MAX_KEY_LENGTH + MAX_SECRET_LENGTH)

_PRINTABLE = re.compile(r"[!-~]+")
_BEARER = re.compile(r"bearer(?:\s+|$)", re.IGNORECASE)


class MalformedCredentials(ValueError):
    """Key headers that are there but can't hold a key and a secret."""


@dataclass(frozen=True)
class Credentials:
    """What a client showed: a public key and, supposedly, its secret."""

    key: str
    secret: str = field(repr=False)


def new_key() -> str:
    """Make the public half: `mk_` and 32 hex digits."""
    return f"mk_{secrets.token_hex(16)}"


def new_secret() -> str:
    """Make the private half: 256 random bits, in letters that hold no colon."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return the form in which a secret is stored: its SHA-256 in hex.

    A fast hash is right here and wrong for passwords. A password is guessed from a short
    list, so each guess must be made slow; our secrets are 256 random bits, which nobody
    can guess at any speed. A slow hash would only cost time on every request.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


NO_SECRET = hash_secret(secrets.token_urlsafe(32))
"""The hash of a secret nobody has. Compared for unknown keys, so they take as long as others."""


def secret_matches(secret: str, secret_hash: str) -> bool:
    """Compare a shown secret with a stored hash in time that does not depend on either."""
    return hmac.compare_digest(hash_secret(secret), secret_hash)


def read_credentials(headers: Mapping[str, str]) -> Credentials | None:
    """Take key and secret from `X-API-Key` and `X-API-Secret`, or from `Authorization: Bearer`.

    Empty values count as absent, since the published Forge extension sends them when it
    has none; other schemes of Authorization are no key. Returns None if there is none.
    The two headers win over Bearer. Raises MalformedCredentials.
    """
    key = headers.get("X-API-Key", "").strip()
    secret = headers.get("X-API-Secret", "").strip()
    if not (key or secret):
        bearer = _BEARER.match(authorization := headers.get("Authorization", "").strip())
        token = authorization[bearer.end() :] if bearer else ""
        if not token:
            return None
        key, _, secret = _decoded(token).partition(":")
    if len(key) > MAX_KEY_LENGTH or len(secret) > MAX_SECRET_LENGTH:
        raise MalformedCredentials
    if not (_PRINTABLE.fullmatch(key) and _PRINTABLE.fullmatch(secret)):
        raise MalformedCredentials
    return Credentials(key, secret)


def _decoded(token: str) -> str:
    """Decode base64 in either alphabet, with or without its padding."""
    if len(token) > _MAX_BEARER_LENGTH:
        raise MalformedCredentials
    standard = token.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        padded = standard + "=" * (-len(standard) % 4)
        return base64.b64decode(padded, validate=True).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise MalformedCredentials from error
