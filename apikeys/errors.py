"""What can go wrong with keys, as facts with a code and a sentence.

ApiKeyError
├── ApiKeyNotFound     no key has this id
├── ApiKeySetupDone    the first key exists already
└── NotOurPage         a route for our own pages and local tools was asked by a foreign page
"""

from __future__ import annotations


class ApiKeyError(Exception):
    """Something about keys that a client did or asked for."""

    code: str


class ApiKeyNotFound(ApiKeyError):
    """No key has this id, or has it no more."""

    code = "API_KEY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("There is no API key with this id. It may have been deleted.")


class ApiKeySetupDone(ApiKeyError):
    """The first key was made already, maybe a moment ago by somebody else."""

    code = "API_KEY_SETUP_DONE"

    def __init__(self) -> None:
        super().__init__("The first API key exists already. Make more on the API Keys page.")


class NotOurPage(ApiKeyError):
    """Another page in somebody's browser asked for what only our own pages may have."""

    code = "ORIGIN_REFUSED"

    def __init__(self) -> None:
        super().__init__(
            "This address answers StableQueue's own pages, local tools and API keys only. "
            "Behind a reverse proxy, name its address in STABLEQUEUE_ORIGINS."
        )
