"""The words and shapes in which pages speak of jobs and servers."""

from __future__ import annotations

from dataclasses import dataclass

from jobs import payload, phases
from jobs.models import Job
from servers.models import Server

MAX_PROMPT_SHOWN = 300
"""Characters of a prompt in a row; the whole one is a click away."""


@dataclass(frozen=True)
class Chip:
    """A state as shape, colour and word; `shape` names a symbol of icons.svg."""

    shape: str
    tone: str
    word: str


STOPPING = Chip("hourglass", "running", "Stopping")
"""The chip of a server that still draws what was cancelled."""

_ENDED = {
    "completed": Chip("done", "done", "Completed"),
    "failed": Chip("failed", "failed", "Failed"),
    "cancelled": Chip("cancelled", "quiet", "Cancelled"),
}

_PAUSED = Chip("bars", "quiet", "Paused")
_WAITING = Chip("clock", "quiet", "Waiting")
_NEXT = Chip("clock", "quiet", "Next")
_STARTING = Chip("hourglass", "running", "Starting")
_SAVING = Chip("arrow", "running", "Saving picture")

_OF_PHASE = {
    "queued": _WAITING,
    "paused": _PAUSED,
    "waiting_for_server": _WAITING,
    "waiting_for_model": Chip("arrow", "running", "Downloading"),
    "retry_wait": Chip("diamond", "attention", "Retry"),
    "admitted": _STARTING,
    "sending": _STARTING,
    "queued_on_forge": _STARTING,
    "recovering": _STARTING,
    "loading_model": Chip("hourglass", "running", "Loading checkpoint"),
    "generating": Chip("ring", "running", "Generating"),
    "downloading": _SAVING,
    "saving": _SAVING,
}

_RESTING = Chip("bars", "quiet", "Quiet hours")
_OF_DRAIN = {
    "draining": Chip("hourglass", "quiet", "Draining"),
    "drained": Chip("bars", "quiet", "Drained"),
}

_OF_HEALTH = {
    "online": Chip("done", "done", "Ready"),
    "unknown": Chip("hourglass", "quiet", "Checking"),
    "offline": Chip("waves", "failed", "Offline"),
    "unauthorized": Chip("padlock", "attention", "Password needed"),
    "not_ready": Chip("diamond", "attention", "Not ready"),
}

_HEALTH_SENTENCE = {
    "online": "Answers and takes jobs.",
    "unknown": "It was not asked yet. Its state shows up within seconds.",
    "offline": "No answer. Jobs wait and start by themselves when it is back.",
    "unauthorized": "Forge asks for a name and password. Enter the same pair here.",
    "not_ready": "Something answers, but it takes no jobs yet.",
}

_HEALTH_HELP = {
    "online": "",
    "unknown": "",
    "offline": "Switch it on, or pause it here if it is to stay off.",
    "unauthorized": "Enter the pair under Servers.",
    "not_ready": "Wait until it has started. If it has, look at the address.",
}

_DRAIN_SENTENCE = {
    "": "It is paused: what runs ends, what waits stays.",
    "draining": "It starts no job any more. What runs there ends first.",
    "drained": "Nothing of ours runs there. It starts no job until you resume it.",
}

HELP_FOR_HELD = "It is tried again by itself, or at once if you resume it."

_AWAY = {
    "offline": "{alias} is offline; starts when it is back",
    "unauthorized": "{alias} needs a password; enter it under Servers",
}


def chip_of_job(job: Job, phase: phases.Phase | None, rank: int = 0) -> Chip:
    """The chip of a job. `rank` is its place in its server's line, 0 if it has none."""
    if phase is None:
        return _ENDED[job.status]
    return _NEXT if rank == 1 else _OF_PHASE[phase.word]


def sentence_of_job(job: Job, phase: phases.Phase | None, rank: int = 0) -> str:
    """Why the job is where it is, in one sentence."""
    alias = job.server.alias
    if phase is None:
        return _ended_sentence(job)
    if rank:
        return f"on {alias}" if rank == 1 else f"{ordinal(rank)} in line for {alias}"
    if phase.word == "generating":
        return ", ".join(filter(None, (percent_of(job), time_left_of(job)))) or f"on {alias}"
    if phase.word == "waiting_for_server" and _is_only_away(job.server):
        return _AWAY.get(job.server.health, phase.reason).format(alias=alias)
    return phase.reason


def _is_only_away(server: Server) -> bool:
    return server.retired_at is None and server.held_until is None


def _ended_sentence(job: Job) -> str:
    result = job.result or {}
    if job.status == Job.Status.FAILED:
        return str(result.get("message") or "It failed; the reason was not kept.")
    if job.status == Job.Status.CANCELLED:
        return "Nothing was kept."
    pictures = plural(len(result.get("images", ())), "picture")
    return " · ".join([f"{pictures}, drawn on {job.server.alias}", *result.get("warnings", ())])


def chip_of_server(server: Server, running: Job | None = None) -> Chip:
    """The chip of a server, with what it draws now if it draws."""
    if running is not None:
        return chip_of_job(running, phases.of(running))
    if server.is_paused:
        return _OF_DRAIN.get(server.drain, _PAUSED)
    if server.quiet_until is not None:
        return _RESTING
    if server.held_until is not None:
        return Chip("diamond", "attention", "Held")
    return _OF_HEALTH[server.health]


def sentence_of_server(server: Server) -> str:
    """What the last look at a server found, and what helps."""
    if server.is_paused:
        return _DRAIN_SENTENCE[server.drain]
    if server.quiet_until is not None:
        return phases.sentence_of_rest(server)
    if server.held_until is not None:
        return f"{server.held_reason} {HELP_FOR_HELD}"
    return server.health_reason or _HEALTH_SENTENCE[server.health]


def sentence_of_health(health: str) -> str:
    """What the health of a server means."""
    return _HEALTH_SENTENCE[health]


def help_for_health(health: str) -> str:
    """What a person can do about it."""
    return _HEALTH_HELP[health]


def waiting_on_server(count: int) -> str:
    """How many jobs wait for a server."""
    if not count:
        return "Nothing waits."
    return "1 job waits." if count == 1 else f"{count:,} jobs wait."


def prompt_of(job: Job) -> str:
    """The beginning of what the job is to draw."""
    parameters = job.parameters
    prompt = str(parameters.get("positive_prompt") or parameters.get("prompt") or "")
    return prompt if len(prompt) <= MAX_PROMPT_SHOWN else f"{prompt[:MAX_PROMPT_SHOWN]}…"


def checkpoint_of(job: Job) -> str:
    """The checkpoint's name without folder and ending; empty if the job leaves it to Forge."""
    name = payload.wanted_checkpoint(job.parameters).replace("\\", "/").rsplit("/", 1)[-1]
    return name.removesuffix(".safetensors")[:100]


def recipe_of(job: Job) -> str:
    """Checkpoint, size, steps and number of pictures in one line."""
    width, height = size_of(job)
    steps, pictures = job.parameters.get("steps"), payload.image_count(job.parameters)
    parts = [checkpoint_of(job), f"{width} \N{MULTIPLICATION SIGN} {height}"]
    parts += [f"{steps} steps"] if steps else []
    parts += [f"{pictures} pictures"] if pictures > 1 else []
    return " · ".join(filter(None, parts))


def size_of(job: Job) -> tuple[int, int]:
    """Width and height asked for, in pixels; Forge's own default where none was."""
    return int(job.parameters.get("width") or 512), int(job.parameters.get("height") or 512)


def percent_of(job: Job) -> str:
    """How far a running job is, in words; empty before its first step."""
    progress = job.slot.progress if hasattr(job, "slot") else 0
    return f"{round(100 * progress)} %" if progress else ""


def time_left_of(job: Job) -> str:
    """Forge's own estimate in words; empty without one."""
    eta = job.slot.eta_seconds if hasattr(job, "slot") else None
    return f"{duration(eta)} left" if eta else ""


def duration(seconds: float) -> str:
    """Write a length of time as people say it.

    >>> duration(9.2), duration(80), duration(7800)
    ('9 s', '1 min 20 s', 'about 2 h 10 min')
    """
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"about {minutes // 60} h {minutes % 60} min"


def ordinal(number: int) -> str:
    """Write a place in a line.

    >>> [ordinal(n) for n in (2, 3, 4, 11, 22)]
    ['2nd', '3rd', '4th', '11th', '22nd']
    """
    ending = (
        "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    )
    return f"{number}{ending}"


def plural(count: int, noun: str) -> str:
    """Write a number of things: `1 picture`, `1,024 pictures`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
