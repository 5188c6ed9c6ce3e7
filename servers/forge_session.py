"""Talking to a Forge that was started without --api, over the protocol of its own page.

A generation joins the page's queue under a session hash of ours; its answer is the stream of
that session. A job that still waits there is withdrawn by closing the stream; one that runs
goes on, and the page gives its result to whoever asks for it by the task's id, while it is
one of the last two.
"""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from servers.forge import Kind, Probe
from servers.forge_errors import ForgeBadReply, ForgeConnectionLost, ForgeNotReady, ForgeRejected
from servers.forge_line import Line
from servers.forge_page import INTERRUPT, RESTORE, TXT2IMG, Page, read_page
from servers.forge_page_form import form_for
from servers.forge_page_replies import Output, Stream, read_joined, read_output, read_stream
from servers.forge_refusals import require_answer
from servers.forge_replies import (
    Activity,
    Checkpoint,
    Generation,
    Lora,
    Progress,
    generation_of,
    ours_among,
    read_app_id,
    read_loras,
)
from servers.forge_watch import Watch, follow
from servers.forge_wire import NotOursNow, OnWire

_HASH = re.compile(r" \[([0-9a-f]{10})\]$")
_LOOKS_UNTIL_GONE = 3


class ForgeSession(OnWire):
    """Draws through the page of one Forge, the same in use as `forge.ForgeClient`."""

    # --- questions -------------------------------------------------------------------

    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Return the checkpoints that were there when that Forge started."""
        return tuple(_checkpoint(title) for title in self._page().checkpoints())

    def loras(self) -> tuple[Lora, ...]:
        """Return the LoRAs; their route belongs to an extension and needs no --api."""
        return read_loras(self._wire.ask("GET", "/sdapi/v1/loras"))

    def modules(self) -> tuple[str, ...]:
        """Return the VAEs and text encoders."""
        return self._page().choices("hr_vae_te")

    def samplers(self) -> tuple[str, ...]:
        return self._page().choices("txt2img_sampling")

    def schedulers(self) -> tuple[str, ...]:
        return self._page().choices("txt2img_scheduler")

    def progress(self, task_id: str, *, preview: bool = False, preview_id: int = -1) -> Progress:
        """Ask how a task of ours stands, see `Wire.progress`."""
        return self._wire.progress(_task(task_id), preview=preview, preview_id=preview_id)

    def is_idle_of(self, task_id: str) -> bool:
        """Say whether Forge neither runs this task nor keeps it waiting.

        What waits in the page's own queue goes with its stream, so nobody's is left there.
        """
        return self.progress(task_id).state not in ("active", "queued")

    def is_busy(self) -> bool:
        """Say True: without --api a Forge does not tell whether it draws for somebody."""
        return True

    def lacks(self, body: Mapping[str, Any]) -> tuple[str, ...]:
        """Name the parameters of a request that this page has no field for."""
        return form_for(self._page(), body).lacking

    def probe(self) -> Probe:
        """Check that a usable page answers. Raises the ForgeError that says what is missing."""
        self._page()
        try:
            self.require_login()
        except ForgeNotReady as error:
            raise ForgeNotReady(
                f"{self.address} has a page of a kind that cannot be drawn through: "
                "start it with --api."
            ) from error
        self.progress("probe")
        return Probe(is_forge=True, has_progress=True)

    def require_login(self) -> None:
        """Raise ForgeUnauthorized if the page asks for a login and ours is none or refused."""
        require_answer(self._wire.ask_page("GET", "/queue/status"))

    # --- orders ----------------------------------------------------------------------

    def interrupt(self, task_id: str) -> bool:
        """Stop this task if it is the one that runs; say whether the order was given.

        As with the API it stops whatever runs, so the connection is made first and the order
        sent right after our task was seen active.
        """

        def open_line() -> Line:
            return self._wire.line(lambda: self._wire.require_stoppable(_task(task_id)))

        number = self._page().function(INTERRUPT).number
        try:
            read_joined(self._join(number, [], session_hash=_new_hash(), open_line=open_line))
        except NotOursNow:
            return False
        return True

    def pin_options(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Pin nothing: the page has no way to write the present value of a setting."""
        return ()

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
        """Draw, and follow the drawing to its end, as `ForgeClient.generate` does.

        A job that waits in the page's queue when it is to stop is withdrawn. What
        `on_progress` raises closes the stream, which withdraws it too. Raises ForgeError;
        ForgeRejected for a kind other than txt2img.
        """
        if kind != "txt2img":
            raise ForgeRejected(
                f"{self.address} was started without --api: its page draws from words only. "
                "Start that Forge with --api to draw from pictures."
            )
        page = self._page()
        form = page.filled_in(_task(task_id), form_for(page, payload).values)
        drawing = _Drawing(self, page, form, task_id, before_sending)
        watch = Watch(drawing, task_id, preview=preview)
        threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="forge")
        try:
            answer = threads.submit(drawing.draw)
            follow(answer, watch, threads, on_progress)
            output = answer.result()
            if output is None:
                gone = threads.submit(drawing.wait_until_gone)
                follow(gone, watch, threads, on_progress)
                gone.result()
            on_answer()
        finally:
            drawing.end()
            threads.shutdown(wait=False, cancel_futures=True)
        if output is None:
            return Generation((), {}, (), (), "", "", interrupted=True)
        half_drawn = self._stopped_early(page, output, expected_images)
        watch.foreign_interrupt = half_drawn and not watch.stop_wanted
        return watch.mark(
            self._fetched(output, expected_images, may_be_partial=watch.stop_wanted or half_drawn)
        )

    def kept_pictures(self, kind: Kind, task_id: str, names: Iterable[str]) -> tuple[bytes, ...]:
        """Fetch the pictures of a finished task that nobody received, one for each of `names`.

        The page keeps the results of its last two tasks. Raises ForgeError.
        """
        page = self._page()
        number, session_hash = page.function(RESTORE).number, _new_hash()
        event_id = read_joined(self._join(number, [_task(task_id)], session_hash=session_hash))
        output = read_output(
            self.address, read_stream(self._listen(session_hash, self.timing.answer), event_id)
        )
        if self._stopped_early(page, output, len(wanted := tuple(names))):
            raise ForgeBadReply(f"{self.address} was interrupted at this task.")
        return self._fetched(output, len(wanted), may_be_partial=False).images

    # --- the page --------------------------------------------------------------------

    def _page(self) -> Page:
        """The page as it is since that Forge's start; read once, as it is large."""
        app_id = read_app_id(self._wire.ask("GET", "/app_id"))
        with _changing:
            known = _pages.get(self.address)
        if known is None or known.app_id != app_id:
            known = read_page(self._wire.ask_page("GET", "/config"))
            with _changing:
                if len(_pages) >= _MAX_PAGES:
                    _pages.clear()
                _pages[self.address] = known
        return known

    def _forget_page(self) -> None:
        with _changing:
            _pages.pop(self.address, None)

    def _join(
        self,
        number: int,
        data: list[Any],
        *,
        session_hash: str,
        open_line: Callable[[], Line] | None = None,
    ) -> Any:
        body = {
            "data": data,
            "fn_index": number,
            "session_hash": session_hash,
            "event_data": None,
            "trigger_id": None,
        }
        return self._wire.ask_page("POST", "/queue/join", body, open_line=open_line)

    def _listen(self, session_hash: str, deadline: float, **options: Any) -> Any:
        path = f"/queue/data?session_hash={session_hash}"
        return self._wire.ask_page("GET", path, deadline=deadline, **options)

    def _stopped_early(self, page: Page, output: Output, expected_images: int) -> bool:
        """Whether somebody interrupted the drawing: pictures are missing, or were not saved."""
        half_drawn = page.saves_pictures and output.is_half_drawn
        return half_drawn or len(output.paths) < expected_images

    def _fetched(self, output: Output, expected_images: int, may_be_partial: bool) -> Generation:
        paths = ours_among(
            output.paths,
            output.info,
            address=self.address,
            expected_images=expected_images,
            may_be_partial=may_be_partial,
        )
        pictures: list[bytes] = []
        for path in paths:
            room = self.timing.reply_bytes - sum(map(len, pictures))
            pictures.append(self._wire.picture(path, room))
        return generation_of(self.address, output.info, tuple(pictures))


class _Drawing:
    """One generation under way, as its watch sees it."""

    def __init__(
        self,
        session: ForgeSession,
        page: Page,
        form: list[Any],
        task_id: str,
        before_sending: Callable[[], object],
    ) -> None:
        self.address = session.address
        self.timing = session.timing
        self._session = session
        self._number = page.function(TXT2IMG).number
        self._form = form
        self._task_id = task_id
        self._joining = session._wire.line(before_sending)
        self._listening = session._wire.line()
        self._stream = Stream()
        self._withdrawn = False
        self._stop_again_at = 0.0

    def draw(self) -> Output | None:
        """Join the page's queue and wait for the output; None once it was withdrawn."""
        session_hash = _new_hash()
        try:
            event_id = read_joined(
                self._session._join(
                    self._number,
                    self._form,
                    session_hash=session_hash,
                    open_line=lambda: self._joining,
                )
            )
            reply = self._session._listen(
                session_hash,
                self.timing.cap,
                open_line=lambda: self._listening,
                on_bytes=self._stream.feed,
            )
            return read_output(self.address, read_stream(reply, event_id))
        except ForgeConnectionLost:
            if self._withdrawn:
                return None
            raise
        except ForgeBadReply:
            # Perhaps the form was that of a page which is there no more.
            self._session._forget_page()
            raise

    def activity(self) -> Activity | None:
        """None: without --api Forge says nothing of itself as a whole."""
        return None

    def progress(self, task_id: str, *, preview: bool = False, preview_id: int = -1) -> Progress:
        """How the task stands; one that waits in the page's own queue is unknown to Forge."""
        progress = self._session.progress(task_id, preview=preview, preview_id=preview_id)
        if progress.state == "unknown" and self._stream.waits:
            return replace(progress, state="queued")
        return progress

    def stop(self, task_id: str, seen: Progress) -> None:
        """Withdraw the job if it waits in the page's queue, interrupt it if it runs."""
        if seen.state == "active" and time.monotonic() > self._stop_again_at:
            # Of several batches the first order may only end the present one, and it takes
            # a second one to stop them all.
            if self._session.interrupt(task_id):
                self._stop_again_at = time.monotonic() + 2 * self.timing.poll
        elif seen.state == "queued" and self._stream.waits and not self._withdrawn:
            self._withdrawn = True
            self._listening.cut()

    def wait_until_gone(self) -> None:
        """Return once a withdrawn job surely does not run: it may have begun just before."""
        deadline = time.monotonic() + self.timing.cap
        looks = 0
        while looks < _LOOKS_UNTIL_GONE and time.monotonic() < deadline:
            time.sleep(self.timing.poll_short)
            looks = looks + 1 if self._session.is_idle_of(self._task_id) else 0

    def end(self) -> None:
        """Close what is still open."""
        self._joining.cut()
        self._listening.cut()


_MAX_PAGES = 100
_pages: dict[str, Page] = {}
"""The pages this process has read, by address."""
_changing = threading.Lock()


def _task(task_id: str) -> str:
    """Our id in the one form under which the page lets a task be followed."""
    return f"task({task_id})"


def _new_hash() -> str:
    return uuid.uuid4().hex


def _checkpoint(title: str) -> Checkpoint:
    found = _HASH.search(title)
    name = _HASH.sub("", title)
    return Checkpoint(
        title=title,
        model_name=re.sub(r"[\\/]", "_", name.rpartition(".")[0] or name),
        filename="",
        hash=found[1] if found else "",
        sha256="",
    )
