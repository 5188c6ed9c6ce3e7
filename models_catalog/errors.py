"""What the catalogue can refuse. Each error has a code and a sentence, and knows nothing of HTTP.

CatalogError
├─ ServerUnavailable  the server that was asked for does not tell what it has
├─ ModelNotFound      no folder has such a file, and no server that answered lists it
├─ ModelAmbiguous     several files have that name
├─ PreviewNotFound    the file has no such preview picture
└─ NotAvailableYet    this version cannot do it, whoever asks
"""

from __future__ import annotations

from collections.abc import Sequence

_MAX_SHOWN = 120
_MAX_NAMED = 5


class CatalogError(Exception):
    """Base of all refusals. `str(error)` is a sentence for a person."""

    code = "CATALOG_ERROR"


class ServerUnavailable(CatalogError):
    code = "SERVER_UNAVAILABLE"

    def __init__(self, alias: str, reason: object) -> None:
        super().__init__(f"The server '{alias}' does not tell what it has: {reason}")


class ModelNotFound(CatalogError):
    """`silent` are the servers that did not answer, and may have the file."""

    code = "MODEL_NOT_FOUND"

    def __init__(self, wanted: str, kind: str, silent: Sequence[str] = ()) -> None:
        sentence = (
            f"Neither our folders nor a server that answers has a {kind} '{wanted[:_MAX_SHOWN]}'."
        )
        if silent:
            sentence += f" No answer came from {_enumerated(silent)}."
        super().__init__(sentence)


class ModelAmbiguous(CatalogError):
    code = "MODEL_AMBIGUOUS"

    def __init__(self, wanted: str, candidates: Sequence[str]) -> None:
        super().__init__(
            f"'{wanted[:_MAX_SHOWN]}' may be {_enumerated(candidates)}. "
            "Ask for one of them by its folder and name, or by its id."
        )


class PreviewNotFound(CatalogError):
    code = "MODEL_PREVIEW_NOT_FOUND"

    def __init__(self, name: str, index: int) -> None:
        super().__init__(f"'{name}' has no preview picture number {index}.")


class NotAvailableYet(CatalogError):
    code = "NOT_AVAILABLE_YET"

    def __init__(self, what: str) -> None:
        super().__init__(f"This version of StableQueue cannot {what} yet.")


def _enumerated(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
