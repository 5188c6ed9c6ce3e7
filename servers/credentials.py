"""Sealing passwords before they are stored.

The key is derived from the installation's secret key, which is kept outside of the
database: a stolen dump alone opens nothing.
"""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SealBroken(Exception):
    """A stored password was sealed under another secret key than today's."""


def seal(text: str) -> str:
    """Encrypt a password; "" stays ""."""
    return _box().encrypt(text.encode()).decode() if text else ""


def unseal(sealed: str) -> str:
    """Decrypt what `seal` made. Raises SealBroken."""
    if not sealed:
        return ""
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken as error:
        raise SealBroken from error


def _box() -> MultiFernet:
    return _box_for((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@lru_cache(maxsize=4)
def _box_for(secret_keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derive(key)) for key in secret_keys])


def _derive(secret_key: str) -> bytes:
    # A use of its own for each derived key: this one is not the key that signs cookies.
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"stablequeue server passwords")
    return base64.urlsafe_b64encode(kdf.derive(secret_key.encode()))
