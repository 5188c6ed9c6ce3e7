"""How patient a Forge client is."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Timing:
    """How long a client waits, in seconds, and how much it takes in."""

    connect: float = 5.0
    answer: float = 10.0
    """The whole of a plain question, from the first byte sent to the last one read."""
    poll: float = 0.5
    poll_short: float = 0.2
    """The rhythm of polls during the first `short_phase`: many jobs take only seconds."""
    short_phase: float = 3.0
    stall: float = 900.0
    """Without any change, while not queued."""
    stall_loading: float = 1800.0
    """The same before the first step: a large checkpoint loads for minutes in silence."""
    cap: float = 6 * 3600.0
    """The longest wait for one generation, queueing behind other people's jobs included."""
    not_worth_stopping: float = 0.5
    """A generation that ends so soon is not interrupted any more. Does not scale either."""
    check_holds: float = 0.05
    """How old the answer may be on which an interrupt is sent. Nor does this."""
    file: float = 120.0
    """The whole of one picture that is fetched as a file."""
    reply_bytes: int = 512 * 1024 * 1024
    """Of one answer, and of the fetched files of one generation together."""

    def scaled(self, factor: float) -> Timing:
        """Return these times shortened for tests.

        An exchange keeps at least a second: how fast a machine answers does not scale.
        """
        return replace(
            self,
            connect=max(self.connect * factor, 1.0),
            answer=max(self.answer * factor, 1.0),
            poll=self.poll * factor,
            poll_short=self.poll_short * factor,
            short_phase=self.short_phase * factor,
            stall=self.stall * factor,
            stall_loading=self.stall_loading * factor,
            cap=self.cap * factor,
        )
