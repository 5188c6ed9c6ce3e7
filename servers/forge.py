"""Talking to one Forge (Stable Diffusion WebUI) over its REST API.

Knows no Django model. Errors are drawn in `forge_errors`, answers are read in
`forge_replies`, each exchange is one `forge_line.Line`, and a generation is followed by a
`forge_watch.Watch`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from servers.forge_errors import (
    ForgeBadReply,
    ForgeCheckpointBroken,
    ForgeConnectionLost,
    ForgeError,
    ForgeFailed,
    ForgeInUse,
    ForgeNotReady,
    ForgePoisoned,
    ForgeRejected,
    ForgeStalled,
    ForgeUnauthorized,
    ForgeUnknownSetting,
    ForgeUnreachable,
)
from servers.forge_line import Credentials, Line
from servers.forge_refusals import Reply, require_answer, require_delivery
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
)
from servers.forge_timing import Timing
from servers.forge_watch import Watch, follow
from servers.forge_wire import NotOursNow, OnWire

__all__ = [
    "Activity",
    "Checkpoint",
    "Credentials",
    "ForgeBadReply",
    "ForgeCheckpointBroken",
    "ForgeClient",
    "ForgeConnectionLost",
    "ForgeError",
    "ForgeFailed",
    "ForgeInUse",
    "ForgeNotReady",
    "ForgePoisoned",
    "ForgeRejected",
    "ForgeStalled",
    "ForgeUnauthorized",
    "ForgeUnknownSetting",
    "ForgeUnreachable",
    "Generation",
    "Kind",
    "Lora",
    "Probe",
    "Progress",
    "Timing",
]

Kind = Literal["txt2img", "img2img"]


@dataclass(frozen=True)
class Probe:
    """What a look at a server found: it has the API, and perhaps more.

    `is_forge` tells Forge from its ancestor AUTOMATIC1111. Without `has_progress` (started
    with --nowebui) a generation can be neither followed nor interrupted.
    """

    is_forge: bool
    has_progress: bool


class ForgeClient(OnWire):
    """Asks one Forge over its API, see `forge_wire.OnWire`."""

    # --- questions -------------------------------------------------------------------

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        return read_checkpoints(self._wire.ask("GET", "/sdapi/v1/sd-models"))

    def loras(self) -> tuple[Lora, ...]:
        return read_loras(self._wire.ask("GET", "/sdapi/v1/loras"))

    def modules(self) -> tuple[str, ...]:
        """Return the VAEs and text encoders; none where there is no such list."""
        try:
            return read_names(self._wire.ask("GET", "/sdapi/v1/sd-modules"), "model_name")
        except ForgeNotReady:
            return ()

    def samplers(self) -> tuple[str, ...]:
        return read_names(self._wire.ask("GET", "/sdapi/v1/samplers"), "name")

    def schedulers(self) -> tuple[str, ...]:
        """Return the labels, which is what a generation's infotext calls them by."""
        return read_names(self._wire.ask("GET", "/sdapi/v1/schedulers"), "label")

    def options(self) -> dict[str, Any]:
        """Return all settings. While a job runs these are its overridden ones."""
        return read_options(self._wire.ask("GET", "/sdapi/v1/options"))

    def activity(self) -> Activity:
        return read_activity(self._wire.ask("GET", "/sdapi/v1/progress?skip_current_image=true"))

    def progress(self, task_id: str, *, preview: bool = False, preview_id: int = -1) -> Progress:
        """Ask how a task of ours stands, see `Wire.progress`."""
        return self._wire.progress(task_id, preview=preview, preview_id=preview_id)

    def is_idle_of(self, task_id: str) -> bool:
        """Say whether Forge neither runs this task nor keeps it waiting.

        A task whose init image was unreadable reads "queued" until Forge restarts; that is
        not told apart here from one that is about to start. Where Forge tells of no tasks
        (--nowebui), it is idle of ours when it draws nothing at all.
        """
        busy = self.activity().busy
        try:
            state = self.progress(task_id).state
        except ForgeNotReady:
            return not busy
        # A failed task reads active until the next one starts.
        return state != "queued" and not (state == "active" and busy)

    def is_busy(self) -> bool:
        """Say whether Forge draws for anybody."""
        return self.activity().busy

    def lacks(self, body: Mapping[str, Any]) -> tuple[str, ...]:
        """Name the parameters of a request that cannot be had this way: none."""
        return ()

    def probe(self) -> Probe:
        """Check that a usable Forge answers. Raises the ForgeError that says what is missing."""
        self.activity()
        return Probe(
            is_forge=self._has(
                lambda: require_answer(self._wire.ask("GET", "/sdapi/v1/sd-modules"))
            ),
            has_progress=self._has(lambda: self.progress("probe")),
        )

    # --- orders ----------------------------------------------------------------------

    def interrupt(self, task_id: str) -> bool:
        """Stop this task if it is the one that runs; say whether the order was given.

        Forge's interrupt stops whatever runs, whoever owns it. So the connection is made
        first, and the order sent over it right after the task was seen active, unless it is
        about to end, or was stopped already and ends with its present step: then somebody
        else's could be hit, and nothing be gained. Forge still answers that task's request,
        with a half-drawn picture or none.
        """
        activity = self.activity()
        if not activity.busy or activity.stopped:
            return False
        try:
            line = self._wire.line(before_sending=lambda: self._wire.require_stoppable(task_id))
            require_answer(self._wire.ask("POST", "/sdapi/v1/interrupt", line=line))
        except NotOursNow:
            return False
        return True

    def stop(self, task_id: str, seen: Progress) -> None:
        """Interrupt the task if it was just seen to be the one that runs."""
        if seen.state == "active":
            self.interrupt(task_id)

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
        require_answer(self._wire.ask("POST", "/sdapi/v1/options", present))
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
        before_sending: Callable[[], object] = lambda: None,
        preview: bool = True,
    ) -> Generation:
        """Draw, and follow the drawing until Forge answers.

        `before_sending` is called last before the request leaves; what it raises holds it
        back and is raised here. `on_progress` is called in every poll interval, with None
        while Forge does not answer the polls, and returns True to stop. Then our task is
        interrupted as soon as, and only while, it is the one that runs; the answer is still
        awaited, since the GPU is busy until then. What `on_progress` raises ends the wait and
        closes the connection, which does not stop Forge. `on_answer` is called as soon as the
        GPU is done with us, before the pictures are unpacked; not if the answer is an error.

        Raises ForgeError. A poll that fails is never an error.
        """
        line = self._wire.line(before_sending)
        watch = Watch(self, task_id, preview=preview)
        # The post, the polls, and the look back, which must not wait for a poll that hangs.
        threads = ThreadPoolExecutor(max_workers=3, thread_name_prefix="forge")
        try:
            answer = threads.submit(self._post, line, kind, {**payload, "force_task_id": task_id})
            follow(answer, watch, threads, on_progress)
            reply = answer.result()
            look_back = threads.submit(watch.look_back)
            # After an error nobody is given the GPU before the error was told.
            if reply.status == 200:
                on_answer()
            look_back.result()
        finally:
            line.cut()
            threads.shutdown(wait=False, cancel_futures=True)
        generation = read_generation(
            reply,
            expected_images=expected_images,
            settings=payload.get("override_settings") or {},
            may_be_partial=watch.stop_wanted or watch.foreign_interrupt,
        )
        return watch.mark(generation)

    def kept_pictures(self, kind: Kind, task_id: str, names: Iterable[str]) -> tuple[bytes, ...]:
        """Fetch the pictures of a task that Forge kept in its output folder, by their names there.

        Raises ForgeError: ForgeUnreachable when Forge is away, another one when it does not
        hand out all of them as whole PNG files.
        """
        options = self.options()
        folder = options.get("outdir_samples") or options.get(f"outdir_{kind}_samples")
        if not isinstance(folder, str) or not folder:
            raise ForgeBadReply(f"{self.address} does not say where it keeps its pictures.")
        pictures = []
        room = self.timing.reply_bytes
        for name in names:
            pictures.append(self._wire.picture(f"{folder.rstrip('/')}/{name}.png", room))
            room -= len(pictures[-1])
        return tuple(pictures)

    # --- the wire --------------------------------------------------------------------

    def _post(self, line: Line, kind: Kind, body: Mapping[str, Any]) -> Reply:
        reply = self._wire.send(
            line,
            "POST",
            f"/sdapi/v1/{kind}",
            body=json.dumps(body, allow_nan=False).encode(),
            deadline=self.timing.cap,
            max_bytes=self.timing.reply_bytes,
        )
        require_delivery(reply)
        return reply

    def _has(self, question: Callable[[], object]) -> bool:
        """Say whether a route exists there."""
        try:
            question()
        except ForgeNotReady:
            return False
        return True
