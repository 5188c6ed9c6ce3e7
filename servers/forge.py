"""Talking to one Forge (Stable Diffusion WebUI) over its REST API.

Knows no Django model. Errors are drawn in `forge_errors`, answers are read in
`forge_replies`, and each exchange is one `forge_line.Line`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, Literal

from servers.forge_errors import (
    ForgeBadReply,
    ForgeConnectionLost,
    ForgeError,
    ForgeFailed,
    ForgeNotReady,
    ForgePoisoned,
    ForgeRejected,
    ForgeStalled,
    ForgeUnauthorized,
    ForgeUnreachable,
)
from servers.forge_line import Credentials, Line, PeerGuard
from servers.forge_refusals import Reply, require_answer
from servers.forge_replies import (
    Activity,
    Checkpoint,
    Generation,
    Lora,
    Progress,
    read_activity,
    read_checkpoints,
    read_generation,
    read_loras,
    read_names,
    read_options,
    read_progress,
)

__all__ = [
    "Activity",
    "Checkpoint",
    "Credentials",
    "ForgeBadReply",
    "ForgeClient",
    "ForgeConnectionLost",
    "ForgeError",
    "ForgeFailed",
    "ForgeNotReady",
    "ForgePoisoned",
    "ForgeRejected",
    "ForgeStalled",
    "ForgeUnauthorized",
    "ForgeUnreachable",
    "Generation",
    "Kind",
    "Lora",
    "Probe",
    "Progress",
    "Timing",
]

Kind = Literal["txt2img", "img2img"]

_QUESTION_BYTES = 32 * 1024 * 1024


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
    """Without any change, while not queued. A large checkpoint loads for minutes in silence."""
    cap: float = 6 * 3600.0
    """The longest wait for one generation, queueing behind other people's jobs included."""
    not_worth_stopping: float = 0.5
    """A generation that ends so soon is not interrupted any more. Does not scale either."""
    check_holds: float = 0.05
    """How old the answer may be on which an interrupt is sent. Nor does this."""
    reply_bytes: int = 512 * 1024 * 1024

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
            cap=self.cap * factor,
        )


@dataclass(frozen=True)
class Probe:
    """What a look at a server found: it has the API, and perhaps more.

    `is_forge` tells Forge from its ancestor AUTOMATIC1111. Without `has_progress` (started
    with --nowebui) a generation can be neither followed nor interrupted.
    """

    is_forge: bool
    has_progress: bool


class ForgeClient:
    """Asks one Forge. Holds no connection between calls; may be used by several threads.

    `address` is a base URL like `http://192.168.1.100:7860`. `credentials` go to the
    `/sdapi` routes only, which are the only ones that ask for HTTP Basic. `guard` judges
    the address a name has led to.
    """

    def __init__(
        self,
        address: str,
        *,
        credentials: Credentials | None = None,
        timing: Timing | None = None,
        guard: PeerGuard | None = None,
    ) -> None:
        self.address = address
        self.timing = timing or Timing()
        self._credentials = credentials
        self._guard = guard

    def __repr__(self) -> str:
        return f"ForgeClient({self.address!r})"

    # --- questions -------------------------------------------------------------------

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return read_checkpoints(self._ask("GET", "/sdapi/v1/sd-models"))

    def loras(self) -> tuple[Lora, ...]:
        return read_loras(self._ask("GET", "/sdapi/v1/loras"))

    def samplers(self) -> tuple[str, ...]:
        return read_names(self._ask("GET", "/sdapi/v1/samplers"), "name")

    def schedulers(self) -> tuple[str, ...]:
        """Return the labels, which is what a generation's infotext calls them by."""
        return read_names(self._ask("GET", "/sdapi/v1/schedulers"), "label")

    def options(self) -> dict[str, Any]:
        """Return all settings. While a job runs these are its overridden ones."""
        return read_options(self._ask("GET", "/sdapi/v1/options"))

    def activity(self) -> Activity:
        return read_activity(self._ask("GET", "/sdapi/v1/progress?skip_current_image=true"))

    def progress(self, task_id: str, *, preview: bool = False, preview_id: int = -1) -> Progress:
        """Ask how a task of ours stands.

        With `preview` the answer may carry a picture, if there is a newer one than `preview_id`.
        """
        question = {"id_task": task_id, "live_preview": preview, "id_live_preview": preview_id}
        return read_progress(self._ask("POST", "/internal/progress", question))

    def is_idle_of(self, task_id: str) -> bool:
        """Say whether Forge neither runs this task nor keeps it waiting.

        A task whose init image was unreadable reads "queued" until Forge restarts; that is
        not told apart here from one that is about to start.
        """
        busy = self.activity().busy
        state = self.progress(task_id).state
        # A failed task reads active until the next one starts.
        return state != "queued" and not (state == "active" and busy)

    def probe(self) -> Probe:
        """Check that a usable Forge answers. Raises the ForgeError that says what is missing."""
        self.activity()
        return Probe(
            is_forge=self._has(lambda: self._ask("GET", "/sdapi/v1/sd-modules")),
            has_progress=self._has(lambda: self.progress("probe")),
        )

    # --- orders ----------------------------------------------------------------------

    def interrupt(self, task_id: str) -> bool:
        """Stop this task if it is the one that runs; say whether the order was given.

        Forge's interrupt stops whatever runs, whoever owns it. So it is sent only when the
        task was seen active an instant before, and not about to end: then somebody else's
        could be hit, and nothing be gained. Forge still answers that task's request, with a
        half-drawn picture or none.
        """
        if not self.activity().busy:
            return False
        asked_at = time.monotonic()
        progress = self.progress(task_id)
        ends_soon = progress.eta is not None and progress.eta < self.timing.not_worth_stopping
        is_news = time.monotonic() - asked_at < self.timing.check_holds
        if progress.state != "active" or ends_soon or not is_news:
            return False
        require_answer(self._ask("POST", "/sdapi/v1/interrupt"))
        return True

    def pin_options(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Write the present values of some settings into Forge's config; return those it has.

        After a job Forge restores an overridden setting only if its config holds one; else
        the job's value stays for everybody. Does nothing and returns () while a job runs,
        because then the present values are that job's.
        """
        if self.activity().busy:
            return ()
        options = self.options()
        present = {key: options[key] for key in keys if key in options}
        if not present or self.activity().busy:
            return ()
        require_answer(self._ask("POST", "/sdapi/v1/options", present))
        return tuple(present)

    def generate(
        self,
        kind: Kind,
        payload: Mapping[str, Any],
        task_id: str,
        *,
        expected_images: int,
        on_progress: Callable[[Progress | None], bool],
        on_answer: Callable[[], object] = lambda: None,
        preview: bool = True,
    ) -> Generation:
        """Draw, and follow the drawing until Forge answers.

        `on_progress` is called in every poll interval, with None while Forge does not answer
        the polls, and returns True to stop. Then our task is interrupted as soon as, and only
        while, it is the one that runs; the answer is still awaited, since the GPU is busy
        until then. What `on_progress` raises ends the wait and closes the connection, which
        does not stop Forge. `on_answer` is called as soon as the GPU is done with us, before
        the pictures are unpacked; not if the answer is an error.

        Raises ForgeError. A poll that fails is never an error.
        """
        post = self._line()
        watch = _Watch(self, task_id, preview=preview)
        # The post, the polls, and the look back, which must not wait for a poll that hangs.
        threads = ThreadPoolExecutor(max_workers=3, thread_name_prefix="forge")
        try:
            answer: Future[Reply] = threads.submit(
                self._post, post, kind, {**payload, "force_task_id": task_id}
            )
            look: Future[Progress | None] | None = None
            # At first there is nothing to see.
            wait((answer,), timeout=watch.interval)
            while not answer.done():
                round_ends = time.monotonic() + watch.interval
                look = look or threads.submit(watch.look)
                awaited: tuple[Future[Any], ...] = (answer, look)
                wait(awaited, timeout=watch.interval, return_when=FIRST_COMPLETED)
                if answer.done():
                    break
                progress = look.result() if look.done() else None
                look = None if look.done() else look
                watch.note(progress)
                if on_progress(progress) and not watch.stop_wanted:
                    watch.stop_wanted = True
                else:
                    wait((answer,), timeout=max(0.0, round_ends - time.monotonic()))
            reply = answer.result()
            look_back = threads.submit(watch.look_back)
            # After an error nobody is given the GPU before the error was told.
            if reply.status == 200:
                on_answer()
            look_back.result()
        finally:
            post.cut()
            threads.shutdown(wait=False, cancel_futures=True)
        settings = payload.get("override_settings") or {}
        return replace(
            read_generation(
                reply,
                expected_images=expected_images,
                settings=settings,
                may_be_partial=watch.stop_wanted or watch.foreign_interrupt,
            ),
            interrupted=watch.stop_wanted,
            foreign_interrupt=watch.foreign_interrupt,
        )

    # --- the wire --------------------------------------------------------------------

    def _line(self) -> Line:
        return Line(self.address, connect=self.timing.connect, guard=self._guard)

    def _post(self, line: Line, kind: Kind, body: Mapping[str, Any]) -> Reply:
        return line.exchange(
            "POST",
            f"/sdapi/v1/{kind}",
            body=json.dumps(body, allow_nan=False).encode(),
            credentials=self._credentials,
            deadline=self.timing.cap,
            max_bytes=self.timing.reply_bytes,
        )

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Reply:
        return self._line().exchange(
            method,
            path,
            body=None if body is None else json.dumps(body).encode(),
            credentials=self._credentials if path.startswith("/sdapi/") else None,
            deadline=self.timing.answer,
            max_bytes=_QUESTION_BYTES,
        )

    def _has(self, question: Callable[[], object]) -> bool:
        """Say whether a route exists there."""
        try:
            question()
        except ForgeNotReady:
            return False
        return True


class _Watch:
    """What is known of one generation while its answer is awaited.

    Patience is counted in rounds and not by a clock: a machine that slept for an hour has
    not waited for an hour.
    """

    def __init__(self, client: ForgeClient, task_id: str, *, preview: bool) -> None:
        self._client = client
        self._timing = client.timing
        self._task_id = task_id
        self._preview = preview
        self._preview_id = -1
        self._seen: tuple[str, float] | None = None
        self._seen_active = False
        self._answers_without_progress = False
        self._waited = 0.0
        self._quiet = 0.0
        self.stop_wanted = False
        self.foreign_interrupt = False

    @property
    def interval(self) -> float:
        timing = self._timing
        return timing.poll_short if self._waited < timing.short_phase else timing.poll

    def look(self) -> Progress | None:
        """Ask Forge how our task stands, and interrupt it if that is wanted and safe."""
        self._answers_without_progress = False
        try:
            activity = self._client.activity()
            progress = self._client.progress(
                self._task_id, preview=self._preview, preview_id=self._preview_id
            )
            self._notice_foreign_interrupt(activity, progress)
            if self.stop_wanted and progress.state == "active":
                self._client.interrupt(self._task_id)
        except (ForgeUnreachable, ForgeConnectionLost):
            return None
        except ForgeError:
            self._answers_without_progress = True
            return None
        self._preview_id = progress.preview_id
        return progress

    def look_back(self) -> None:
        """See, right after the answer, whether somebody else stopped our generation.

        Forge answers with a half-drawn picture and says nothing; its global state keeps the
        mark until the next job begins.
        """
        try:
            activity = self._client.activity()
        except ForgeError:
            return
        if activity.stopped and not activity.busy and not self.stop_wanted:
            self.foreign_interrupt = True

    def note(self, progress: Progress | None) -> None:
        """Count one round. Raises ForgeStalled when patience is at its end."""
        self._waited += self.interval
        self._quiet = 0.0 if self._is_sign_of_life(progress) else self._quiet + self.interval
        address = self._client.address
        if self._quiet >= self._timing.stall:
            raise ForgeStalled(
                f"{address} made no progress for {self._quiet:.0f} seconds; "
                "that Forge probably hangs and needs a restart."
            )
        if self._waited >= self._timing.cap:
            raise ForgeStalled(f"{address} did not answer within {self._timing.cap:.0f} seconds.")

    def _is_sign_of_life(self, progress: Progress | None) -> bool:
        if progress is None:
            return self._answers_without_progress
        changed = (progress.state, progress.fraction) != self._seen
        self._seen = (progress.state, progress.fraction)
        return changed or progress.state == "queued"

    def _notice_foreign_interrupt(self, activity: Activity, progress: Progress) -> None:
        # The activity was asked first; only between two sights of our task is it surely ours.
        active = progress.state == "active"
        if activity.stopped and active and self._seen_active and not self.stop_wanted:
            self.foreign_interrupt = True
        self._seen_active = active
