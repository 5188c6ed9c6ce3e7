"""Who a request is from: reads and checks the key it shows."""

from __future__ import annotations

from django.db import connection
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from apikeys.keys import (
    NO_SECRET,
    Credentials,
    MalformedCredentials,
    read_credentials,
    secret_matches,
)
from apikeys.models import ApiKey
from apikeys.usage import usage

SENTENCE = (
    "A valid API key is needed: send X-API-Key and X-API-Secret, "
    "or Authorization: Bearer base64(key:secret). "
    "Keys are made on the API Keys page."
)
"""One text for all refusals, so that nobody learns which half of a guess was right."""


class KeyAuthentication(BaseAuthentication):
    """Sets `request.auth` to the ApiKey shown. A key that is shown and wrong is refused with 401.

    The query string is never looked at.
    """

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        """Return (no user, the key), or None for a request that shows none."""
        try:
            credentials = read_credentials(request.headers)
        except MalformedCredentials as error:
            raise AuthenticationFailed(SENTENCE) from error
        if credentials is None:
            return None
        api_key = _judged(credentials)
        if api_key is None:
            raise AuthenticationFailed(SENTENCE)
        usage.count(api_key.id)
        return None, api_key

    def authenticate_header(self, request: Request) -> str:
        """Name the scheme, which makes refusals a 401; browsers ask nothing for this one."""
        return 'Bearer realm="StableQueue"'


def _judged(credentials: Credentials) -> ApiKey | None:
    """Return the active key these credentials open; as slow for unknown keys as for known ones."""
    api_key = _found(credentials.key) or ApiKey(secret_hash=NO_SECRET, is_active=False)
    matches = secret_matches(credentials.secret, api_key.secret_hash)
    return api_key if matches and api_key.is_active else None


def _found(key: str) -> ApiKey | None:
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [key])
        row = cursor.fetchone()
    return row and ApiKey.from_db(None, _NEEDED, row)


# Written out, as it stands in the way of every request. What else a key has is read when asked.
_NEEDED = ["id", "secret_hash", "is_active", "rate_limit", "max_waiting"]
_FIND = f"SELECT {', '.join(_NEEDED)} FROM apikeys_apikey WHERE key = %s"  # noqa: S608
