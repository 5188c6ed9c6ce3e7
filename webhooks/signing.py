"""Signatures of the Standard Webhooks specification, symmetric (`v1`).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

PREFIX = "whsec_"
_NEW_BYTES, _LEAST_BYTES, _MOST_BYTES = 32, 24, 64


def new_secret() -> str:
    """Draw a secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_NEW_BYTES)).decode()


def is_secret(text: str) -> bool:
    """Say whether `text` is a secret of the length that the specification asks for."""
    return text.startswith(PREFIX) and _LEAST_BYTES <= len(_key(text) or b"") <= _MOST_BYTES


def headers(
    *, message_id: str, timestamp: int, body: bytes, secret_texts: Iterable[str]
) -> dict[str, str]:
    """Sign a message, with each secret; `timestamp` is the attempt's, in Unix seconds."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(_key(text) or b"", signed, hashlib.sha256)).decode()
        for text in secret_texts
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _key(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
