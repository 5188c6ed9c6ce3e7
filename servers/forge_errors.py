"""What can go wrong between us and a Forge.

    ForgeError
     ├─ ForgeUnreachable      nothing was sent: refused, no route, unknown name, TLS, time-out
     ├─ ForgeUnauthorized     it needs credentials, or refuses ours
     ├─ ForgeNotReady         no API there: starting up, started without --api, or a proxy's 503
     ├─ ForgeInUse            somebody else draws there, so a setting cannot be kept safe now
     ├─ ForgeConnectionLost   connected, then the answer was cut off or never came
     ├─ ForgeRejected         it refused the parameters: they will never work as they are
     │   └─ ForgeUnknownSetting   one of the overridden settings does not exist there
     ├─ ForgeFailed           the generation ended in an error of Forge's own
     │   ├─ ForgeCheckpointBroken   the checkpoint asked for cannot be loaded
     │   └─ ForgePoisoned     it lost the checkpoint loaded before, and needs another one
     ├─ ForgeBadReply         an answer that is not what Forge sends, or that is not complete
     └─ ForgeStalled          no sign of progress for too long

Every message is one line and names the server's address, never its credentials.
"""

from __future__ import annotations

from typing import ClassVar


class ForgeError(Exception):
    """An exchange with a Forge that did not give its result."""

    code: ClassVar[str] = "FORGE_ERROR"
    permanent: ClassVar[bool] = False
    """Whether the same request can never succeed, so that a retry is in vain."""
    sent: ClassVar[bool] = True
    """Of a generation: whether its request may have reached Forge, so that it may have run."""


class ForgeUnreachable(ForgeError):
    code = "FORGE_UNREACHABLE"
    sent = False


class ForgeUnauthorized(ForgeError):
    code = "FORGE_UNAUTHORIZED"
    sent = False


class ForgeNotReady(ForgeError):
    code = "FORGE_NOT_READY"
    sent = False


class ForgeInUse(ForgeError):
    code = "FORGE_IN_USE"
    sent = False


class ForgeConnectionLost(ForgeError):
    code = "FORGE_CONNECTION_LOST"


class ForgeRejected(ForgeError):
    code = "FORGE_REJECTED"
    permanent = True


class ForgeUnknownSetting(ForgeRejected):
    """`setting` is the name that this Forge does not know."""

    def __init__(self, address: str, setting: str) -> None:
        super().__init__(f"{address} does not know the setting {setting!r}.")
        self.setting = setting


class ForgeFailed(ForgeError):
    """`error_class` and `reason` are Forge's own words, each cut to one short line."""

    code = "FORGE_FAILED"

    def __init__(self, sentence: str, *, error_class: str, reason: str) -> None:
        super().__init__(sentence)
        self.error_class = error_class
        self.reason = reason


class ForgeCheckpointBroken(ForgeFailed):
    """The checkpoint could not be loaded: broken, of an unknown kind, or its file is gone.

    Each try costs Forge the checkpoint it had before, see ForgePoisoned.
    """

    code = "FORGE_CHECKPOINT_BROKEN"
    permanent = True


class ForgePoisoned(ForgeFailed):
    """Raised for every job on the checkpoint that was loaded when another one failed to load.

    Forge drops the old model before it loads the new one and keeps believing that the old
    one is there. A job on another, good checkpoint heals it; so does a restart.
    """

    code = "FORGE_POISONED"


class ForgeBadReply(ForgeError):
    code = "FORGE_BAD_REPLY"


class ForgeStalled(ForgeError):
    code = "FORGE_STALLED"
