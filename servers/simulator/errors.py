"""What can end a simulated request other than an answer.

SimulatorError
├── RunError      an exception inside a run: 500 {"error", "detail", "body", "message"}
│   └── PlainRunError  the same, answered as plain text
├── RefusalError           FastAPI's HTTPException: any status, {"detail": ...}
└── AbortedError           the simulator stopped: the connection closes without an answer
"""

from __future__ import annotations

from typing import Any


class SimulatorError(Exception):
    """Base of everything this package raises on purpose."""


class RunError(SimulatorError):
    """An exception that Forge would have met in a run: its class name and its text."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error
        self.message = message


class PlainRunError(RunError):
    """A failure whose answer is the bare words "Internal Server Error"."""

    def __init__(self) -> None:
        super().__init__("InternalServerError", "simulated failure")


class RefusalError(SimulatorError):
    """An answer of `status` with `detail`: a sentence, or pydantic's list of complaints."""

    def __init__(self, status: int, detail: Any, *, challenge: str | None = None) -> None:
        super().__init__(f"{status}: {detail}")
        self.challenge = challenge
        """The kind of credentials that would help, as WWW-Authenticate says it."""
        self.status = status
        self.detail = detail


class AbortedError(SimulatorError):
    """The simulator was stopped or reset while this request was in its hands."""
