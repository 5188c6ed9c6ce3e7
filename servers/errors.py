"""What can be wrong with a request about servers.

ServerError
 ├─ ServerNotFound
 ├─ ServerExists
 ├─ ServerSecretUnreadable
 └─ ServerInvalid             names the offending fields
     ├─ ServerAliasInvalid
     └─ ServerAddressInvalid
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class ServerError(Exception):
    """The message is a sentence a person can act on."""

    code: ClassVar[str] = "SERVER_ERROR"


class ServerNotFound(ServerError):
    code = "SERVER_NOT_FOUND"

    def __init__(self, alias: str) -> None:
        super().__init__(f"There is no server named '{alias}'.")


class ServerExists(ServerError):
    code = "SERVER_EXISTS"

    def __init__(self, alias: str) -> None:
        super().__init__(f"There is already a server named '{alias}' (letter case is ignored).")


class ServerInvalid(ServerError):
    """`fields` maps the name of each offending field to what is wrong with it."""

    code = "VALIDATION_FAILED"

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.fields: Mapping[str, list[str]] = {field: [sentence]}


class ServerAliasInvalid(ServerInvalid):
    code = "SERVER_ALIAS_INVALID"

    def __init__(self, sentence: str) -> None:
        super().__init__("alias", sentence)


class ServerAddressInvalid(ServerInvalid):
    code = "SERVER_ADDRESS_INVALID"
