"""What exactly a job is doing inside its status, and the one reason why it waits. Reads only."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from jobs.models import Job, Slot
from servers.models import Health, Server
from servers.quiet_hours import zone_of


@dataclass(frozen=True)
class Phase:
    """A word from the closed list of phases, and a sentence for a person."""

    word: str
    reason: str


def of(job: Job) -> Phase | None:
    """The phase of a job that has not ended; None for one that has."""
    if job.status == Job.Status.PENDING:
        return _pending(job)
    if job.status == Job.Status.PROCESSING:
        return _processing(job)
    return None


def _pending(job: Job) -> Phase:
    server = job.server
    if getattr(job, "slot", None) is not None:
        return Phase("admitted", "It is this job's turn; a worker is taking it up.")
    if server.retired_at is not None:
        return Phase(
            "waiting_for_server",
            "Its server was removed. Add the server again, or cancel the job.",
        )
    if held := _held_because(job):
        return Phase("paused", held)
    is_wanted_now = job.urgency == Job.Urgency.NOW
    if (reason := _paused_because(job)) is not None and not is_wanted_now:
        return Phase("paused", sentence_of_pause(reason))
    if server.is_paused and not is_wanted_now:
        return Phase("paused", f"{server.alias} is {server.drain or 'paused'}.")
    if server.quiet_until is not None and not is_wanted_now:
        return Phase("paused", sentence_of_rest(server))
    if server.held_until is not None:
        return Phase(
            "waiting_for_server",
            f"{server.alias} is held and tried again by itself; resume it to try at once. "
            f"{server.held_reason}",
        )
    if server.health not in (Health.ONLINE, Health.UNKNOWN):
        return Phase("waiting_for_server", server.health_reason or f"{server.alias} is away.")
    if job.not_before is not None and job.not_before > timezone.now():
        last = job.errors[-1]["message"] if job.errors else "It could not run just now."
        return Phase("retry_wait", f"Tries again in a moment. {last}")
    return Phase("queued", f"Waits for its turn on {server.alias}.")


def sentence_of_rest(server: Server) -> str:
    """Until when a server that rests has its quiet hours, by its own clock."""
    if server.quiet_until is None:
        return f"{server.alias} has no quiet hours now."
    end = server.quiet_until.astimezone(zone_of(server.time_zone))
    return f"{server.alias} has its quiet hours until {end:%H:%M} ({server.time_zone})."


def sentence_of_pause(reason: str) -> str:
    """What it means that the whole queue is paused, with the words of who did it."""
    because = f" ({reason.rstrip('.')})" if reason else ""
    return f"The queue is paused{because}; nothing is started until somebody resumes it."


_PROCESSING = {
    "sending": "Being sent to {alias}.",
    "queued_on_forge": "{alias} is drawing for somebody else first.",
    "loading_model": "{alias} is loading the checkpoint.",
    "generating": "{alias} is drawing.",
    "downloading": "The pictures are being fetched from {alias}.",
    "saving": "The pictures are being saved.",
    "recovering": "Its worker or its answer was lost; {alias} is asked for the picture.",
}
_RECOVERING_LATER = (
    "Its worker or its answer was lost; {alias} is asked for the picture once it is back."
)


def _processing(job: Job) -> Phase:
    slot: Slot | None = getattr(job, "slot", None)
    word = "saving" if slot is None else slot.phase or "sending"
    if word == "saving" and (held := _held_because(job)):
        return Phase(word, f"The pictures are drawn and wait to be saved. {held}")
    is_there = job.server.health in (Health.ONLINE, Health.UNKNOWN)
    reason = _PROCESSING[word] if is_there or word != "recovering" else _RECOVERING_LATER
    return Phase(word, reason.format(alias=job.server.alias))


def _held_because(job: Job) -> str:
    """Why nothing at all is admitted now, as far as the job was read with it."""
    return getattr(job, "held_because", None) or ""


def _paused_because(job: Job) -> str | None:
    """What was said when the queue was paused; None if it is not, or was not asked for."""
    return getattr(job, "paused_because", None)
