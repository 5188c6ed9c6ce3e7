"""What the Queue page shows at one moment. Reads only; the page and its updates are made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count
from django.utils import timezone

from events.timestamps import utc_millis
from jobs import disk, phases, presence, queue_pause
from jobs.models import Image, Job, Slot
from servers.models import Server
from stablequeue_project import wording
from stablequeue_project.wording import Chip

FRAME = 34
"""Pixels of the longer side of the outline that stands for a picture not drawn yet."""


@dataclass(frozen=True)
class Picture:
    """A picture's address and the size asked for, in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True)
class Row:
    """One job in the list."""

    id: str
    status: str
    prompt: str
    recipe: str
    chip: Chip
    sentence: str
    server: str
    at: str
    """When it ended or, before that, was accepted."""
    frame_width: int
    frame_height: int
    picture: Picture | None
    pictures: int


@dataclass(frozen=True)
class Section:
    """A part of the list; `total` counts also the jobs that have no row."""

    name: str
    rows: Sequence[Row]
    total: int

    @property
    def rest(self) -> int:
        """How many jobs have no row."""
        return self.total - len(self.rows)


@dataclass(frozen=True)
class Lane:
    """One server and what it draws now."""

    alias: str
    chip: Chip
    sentence: str
    troubled: bool
    """It takes no jobs, and the sentence says why."""
    stopped: bool
    """A person can resume it: it is paused, drained or held."""
    running: bool
    percent: str
    time_left: str
    progress: float | None
    """From 0 to 100; None while nobody can say."""
    prompt: str
    checkpoint: str
    waiting: str
    waiting_count: int
    picture: Picture | None
    """The last one it drew."""


@dataclass(frozen=True)
class QueueNow:
    """Everything on the page that changes by itself."""

    at: str
    summary: str
    counts: dict[str, int]
    missing: list[str]
    """Roles of ours that no living process fills."""
    held: str
    """Why nothing is drawn on any server, in a sentence; empty if that is not so."""
    lanes: Sequence[Lane]
    sections: Sequence[Section]


ROWS = {
    "all": {"needs-you": 5, "up-next": 60, "done": 24},
    "waiting": {"up-next": 200},
    "generating": {"generating": 200},
    "failed": {"needs-you": 200},
    "completed": {"done": 200},
}
"""Which sections a tab shows, with the most rows of each."""


def queue_now(tab: str) -> QueueNow:
    """Look at the queue, as the tab of that name (a key of ROWS) shows it."""
    counts = _counts()
    sections = [
        _section(name, tab, counts, ROWS[tab].get(name, 0))
        for name in ("needs-you", "generating", "up-next", "done")
    ]
    return QueueNow(
        at=utc_millis(timezone.now()),
        summary=_summary(counts),
        counts=counts,
        missing=presence.missing_roles(),
        held=disk.pause() or _pause(),
        lanes=lanes_now(),
        sections=sections,
    )


def _counts() -> dict[str, int]:
    found = dict(Job.objects.order_by().values_list("status").annotate(Count("id")))
    return {
        "all": sum(found.values()),
        "waiting": found.get("pending", 0),
        "generating": found.get("processing", 0),
        "failed": found.get("failed", 0),
        "completed": found.get("completed", 0),
        "cancelled": found.get("cancelled", 0),
    }


def _pause() -> str:
    queue = queue_pause.state()
    return phases.sentence_of_pause(queue.reason) if queue.is_paused else ""


def _summary(counts: dict[str, int]) -> str:
    words = [f"{counts['generating']:,} generating", f"{counts['waiting']:,} waiting"]
    return " · ".join([*words, f"{counts['failed']:,} failed"] if counts["failed"] else words)


def _section(name: str, tab: str, counts: dict[str, int], most: int) -> Section:
    if not most:
        return Section(name, [], 0)
    jobs = Job.objects.with_everything_shown().prefetch_related("images")
    match name:
        case "needs-you":
            failed = jobs.filter(status="failed").order_by("-finished_at")
            return Section(name, _rows(failed[:most]), counts["failed"])
        case "generating":
            running = jobs.processing().order_by("created_at", "id")
            return Section(name, _rows(running[:most]), counts["generating"])
        case "up-next":
            waiting = jobs.pending().in_line()
            return Section(name, _ranked_rows(waiting[:most]), counts["waiting"])
    statuses = ["completed"] if tab == "completed" else ["completed", "cancelled"]
    done = jobs.filter(status__in=statuses).order_by("-finished_at")
    return Section(name, _rows(done[:most]), sum(counts[status] for status in statuses))


def _rows(jobs: Iterable[Job]) -> list[Row]:
    return [_row(job, phases.of(job)) for job in jobs]


def _ranked_rows(jobs: Iterable[Job]) -> list[Row]:
    """Rows of waiting jobs, in their order, so that each knows its place in its server's line."""
    taken: Counter[int] = Counter()
    rows = []
    for job in jobs:
        phase = phases.of(job)
        queued = phase is not None and phase.word == "queued"
        taken[job.server_id] += queued
        rows.append(_row(job, phase, rank=taken[job.server_id] if queued else 0))
    return rows


def _row(job: Job, phase: phases.Phase | None, rank: int = 0) -> Row:
    width, height = wording.size_of(job)
    longer = max(width, height)
    return Row(
        id=str(job.id),
        status=job.status,
        prompt=wording.prompt_of(job),
        recipe=wording.recipe_of(job),
        chip=wording.chip_of_job(job, phase, rank),
        sentence=wording.sentence_of_job(job, phase, rank),
        server=job.server.alias,
        at=utc_millis(_moment(job)),
        frame_width=max(6, round(FRAME * width / longer)),
        frame_height=max(6, round(FRAME * height / longer)),
        picture=_first_picture(job),
        pictures=len(job.images.all()),
    )


def _moment(job: Job) -> datetime:
    return job.finished_at or job.created_at


def _first_picture(job: Job) -> Picture | None:
    first = next(iter(job.images.all()), None)
    return _picture(first, job, "small") if first else None


def _picture(image: Image, job: Job, size: str) -> Picture:
    return Picture(f"/outputs/{image.name}?size={size}", *wording.size_of(job))


def lanes_now() -> list[Lane]:
    """Look at the servers."""
    servers = list(Server.objects.active().select_related("slot__job"))
    waiting = dict(Job.objects.pending().order_by().values_list("server_id").annotate(Count("id")))
    drawn = _last_pictures()
    return [_lane(server, waiting.get(server.pk, 0), drawn.get(server.pk)) for server in servers]


def _last_pictures() -> dict[int, Picture]:
    """The newest picture of each server, as far as the last pictures hold one."""
    newest = Image.objects.filter(index=0).order_by("-id").select_related("job")
    found: dict[int, Picture] = {}
    for image in newest[:40]:
        found.setdefault(image.job.server_id, _picture(image, image.job, "large"))
    return found


def _lane(server: Server, waiting: int, picture: Picture | None) -> Lane:
    slot = getattr(server, "slot", None)
    job: Job | None = slot.job if slot else None
    if job is not None:
        job.server = server
    stopping = slot is not None and slot.state == Slot.State.DRAINING
    chip = wording.STOPPING if stopping else wording.chip_of_server(server, job)
    works = job is not None or chip.tone in ("done", "running")
    return Lane(
        alias=server.alias,
        chip=chip,
        sentence=wording.sentence_of_server(server),
        troubled=not works,
        stopped=server.is_paused or server.held_until is not None,
        running=job is not None,
        percent=wording.percent_of(job) if job else "",
        time_left=wording.time_left_of(job) if job else "",
        progress=_progress(slot.progress if slot else 0) if job else 0,
        prompt=wording.prompt_of(job) if job else "",
        checkpoint=wording.checkpoint_of(job) if job else "",
        waiting=wording.waiting_on_server(waiting),
        waiting_count=waiting,
        picture=picture,
    )


def _progress(fraction: float) -> float | None:
    return round(100 * fraction, 1) if fraction else None
