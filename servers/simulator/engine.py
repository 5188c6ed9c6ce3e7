"""One GPU: who may use it, what it does, and what it keeps from one job to the next.

All generation goes through one lock, first come first served. State that outlives a
job, as in Forge: the loaded checkpoint, leaked options, known hashes, task ids, and the
`interrupted` mark, which is global and cleared by the next job.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from PIL import Image

from servers.simulator import pictures
from servers.simulator.catalogue import Catalogue, ModelFile
from servers.simulator.errors import AbortedError, PlainRunError, RunError
from servers.simulator.faults import Fault, FaultPlan, Stage
from servers.simulator.files import Outputs
from servers.simulator.flavours import Flavour
from servers.simulator.gate import Gate
from servers.simulator.journal import Generation, Journal, Outcome
from servers.simulator.limits import OUT_OF_MEMORY, refuse_the_impossible
from servers.simulator.options import Options
from servers.simulator.progress import Progress
from servers.simulator.recipe import Recipe, choose_sampling, draw_seed


@dataclass
class Order:
    """One generation somebody wants."""

    kind: str
    request: dict[str, Any]
    task_id: str
    label: str
    """What /sdapi/v1/progress calls it: the API's jobs all have the same name."""
    from_page: bool = False
    """Jobs of Forge's own page finish their task id even when they fail."""
    seconds: float | None = None
    """Time of one batch, if other than the server's."""
    cut_connection: Callable[[], None] = lambda: None
    arrived_at: float = field(default_factory=time.time)


@dataclass
class Result:
    """What a generation gives back: pictures (a grid may come first) and the info."""

    info: dict[str, Any]
    images: list[Image.Image] = field(default_factory=list)
    infotexts: list[str] = field(default_factory=list)
    paths: list[str | None] = field(default_factory=list)
    """Where each picture was saved; None for one that was not."""
    interrupted: bool = False


class Engine:
    """The part of Forge behind its routes."""

    def __init__(
        self,
        catalogue: Catalogue,
        options: Options,
        lists: dict[str, Any],
        *,
        modules: Sequence[str],
        flavour: Flavour,
        seconds: float,
        load_seconds: float,
        journal: Journal,
        faults: FaultPlan,
        outputs: Outputs,
        die: Callable[[], None],
    ) -> None:
        self.catalogue = catalogue
        self.options = options
        self.lists = lists
        self.flavour = flavour
        self.modules = {PurePosixPath(path).name: path for path in modules}
        """Paths of VAEs and text encoders below Forge's folder, by their names."""
        self.seconds = seconds
        self.load_seconds = load_seconds
        self.journal = journal
        self.faults = faults
        self.gate = Gate()
        self.progress = Progress(options, journal=journal, faults=faults, lock=self.gate.changed)
        self.outputs = outputs
        self.page_results: deque[tuple[str, Result]] = deque(maxlen=2)
        """What the page's last runs gave, for its button that restores a lost result."""
        self._die = die
        self._loaded: ModelFile | None = None
        self._load_mark: str | None = None
        self._upscalers = {
            item["name"] for key in ("upscalers", "latent_upscale_modes") for item in lists[key]
        }

    # --- a generation ----------------------------------------------------------------

    def generate(self, order: Order, prepare: Callable[[], list[Image.Image]]) -> Result:
        """Wait for the GPU and draw. Raises RunError, RefusalError or AbortedError.

        `prepare` decodes the start pictures once it is our turn; if it fails, the task id
        stays queued for ever. After any other failure it stays active until the next job.
        """
        with self.gate.changed:
            if order.task_id:
                self.progress.tasks.add(order.task_id)
            self.gate.changed.notify_all()
        with self.gate.turn():
            start_pictures = prepare()
            entry = self._begin(order)
            outcome: Outcome = "failed"
            try:
                result = self._process(order, entry, start_pictures)
                outcome = "interrupted" if result.interrupted else "completed"
                if order.from_page:
                    self.page_results.append((order.task_id, result))
                return result
            finally:
                with self.gate.changed:
                    if outcome != "failed" or order.from_page:
                        self.progress.tasks.finish(order.task_id)
                    self.progress.state.end(forget_stop=order.from_page)
                    self.gate.changed.notify_all()
                self.journal.end(entry, outcome)

    def _begin(self, order: Order) -> Generation:
        with self.gate.changed:
            self.progress.state.begin(order.label)
            self.progress.tasks.start(order.task_id)
        request = order.request
        return self.journal.begin(
            Generation(
                task_id=order.task_id,
                kind=order.kind,
                prompt=request["prompt"] or "",
                seed=request["seed"],
                steps=request["steps"],
                arrived_at=order.arrived_at,
            )
        )

    def _process(
        self, order: Order, entry: Generation, start_pictures: list[Image.Image]
    ) -> Result:
        request = order.request
        # Read before the overrides: Forge's API does so too, so a job cannot choose its folder.
        folder = self.options["outdir_samples"] or self.options[f"outdir_{order.kind}_samples"]
        overrides = request["override_settings"] or {}
        if self.catalogue.find(overrides.get("sd_model_checkpoint")) is None:
            overrides.pop("sd_model_checkpoint", None)
        restore = bool(request["override_settings_restore_afterwards"])
        with self.options.overridden(overrides, restore=restore):
            checkpoint = self._load(entry.prompt)
            entry.checkpoint = self.catalogue.name(checkpoint)
            recipe = self._recipe(request, checkpoint)
            entry.seed = recipe.seed
            refuse_the_impossible(
                request,
                upscalers=self._upscalers,
                checkpoint_known=self.catalogue.find(request["refiner_checkpoint"]) is not None,
            )
            return self._draw_all(order, recipe, start_pictures, folder)

    def _load(self, prompt: str) -> ModelFile:
        """The selected checkpoint, loaded if another one is.

        A failed load drops the model but not the mark of what had been loaded, so that
        every later job on that former checkpoint finds nothing there.
        """
        slow = self.faults.take(Stage.LOAD, prompt)
        if slow:
            self.gate.pause(slow.seconds)
        wanted = self.catalogue.find(self.options["sd_model_checkpoint"])
        wanted = wanted or self.catalogue.listed[0]
        if self.faults.take(Stage.MODEL, prompt):
            wanted = next((other for other in self.catalogue.listed if other != wanted), wanted)
        if self._load_mark != wanted.path:
            self._loaded = None
            self.gate.pause(self.load_seconds)
            if not self.catalogue.loadable(wanted):
                raise RunError("ValueError", "Failed to recognize model type!")
            self.catalogue.mark_hashed(wanted)
            self._loaded, self._load_mark = wanted, wanted.path
            self.options.set({"sd_checkpoint_hash": wanted.digest})
        if self._loaded is None:
            raise RunError(
                "AttributeError", "'NoneType' object has no attribute 'sd_checkpoint_info'"
            )
        return self._loaded

    def _recipe(self, request: dict[str, Any], checkpoint: ModelFile) -> Recipe:
        prompt = request["prompt"]
        return Recipe(
            request=request,
            checkpoint=checkpoint,
            sampling=choose_sampling(
                request["sampler_name"] or request["sampler_index"],
                request["scheduler"],
                self.lists["samplers"],
                self.lists["schedulers"],
            ),
            seed=draw_seed(request["seed"]),
            subseed=draw_seed(request["subseed"]),
            clip_skip=int(self.options["CLIP_stop_at_last_layers"]),
            loras=[] if prompt is None else self.catalogue.loras_in(prompt),
            job_timestamp=self.progress.state.job_timestamp,
            flavour=self.flavour,
            modules=self._modules_in_use(),
        )

    def _modules_in_use(self) -> list[str]:
        """Names without endings. Modules this server hasn't are passed over without a word."""
        wanted = (PureWindowsPath(path).name for path in self.options["forge_additional_modules"])
        return [PurePosixPath(name).stem for name in wanted if name in self.modules]

    # --- drawing ---------------------------------------------------------------------

    def _draw_all(
        self, order: Order, recipe: Recipe, start_pictures: list[Image.Image], folder: str
    ) -> Result:
        request, batches = order.request, order.request["n_iter"]
        fault = self.faults.take(Stage.MIDWAY, request["prompt"])
        result = Result(info={})
        with self.gate.changed:
            self.progress.state.job_count = batches * len(recipe.passes)
        for batch in range(batches):
            with self.gate.changed:
                self.progress.state.skipped = False
                if self._interrupted() or self.progress.state.stopping_generation:
                    result.interrupted = True
                    break
                if batches > 1:
                    self.progress.state.job = f"Batch {batch + 1} out of {batches}"
            first = batch * request["batch_size"]
            self.progress.shown = recipe.picture_key(first), recipe.size
            done = self._sample_batch(order, recipe, fault if batch == 0 else None)
            for index in range(first, first + request["batch_size"]):
                picture = pictures.draw(recipe.picture_key(index), recipe.size, done)
                if start_pictures:
                    strength = request["denoising_strength"]
                    picture = pictures.over(start_pictures[0], picture, strength)
                result.images.append(picture)
                result.infotexts.append(recipe.infotext(index))
                result.paths.append(self._save(order, recipe, index, picture, folder))
            with self.gate.changed:
                result.interrupted = done < 1 and self._interrupted()
                self.progress.state.next_job()
        first_image = self._put_grid_first(order, result, folder)
        result.info = recipe.info(result.infotexts, first_image=first_image)
        return result

    def _sample_batch(self, order: Order, recipe: Recipe, fault: Fault | None) -> float:
        """Do the steps of one batch; the share of them done, below 1 if stopped early."""
        per_batch = self.seconds if order.seconds is None else order.seconds
        seconds = per_batch / len(recipe.passes)
        for number, steps in enumerate(recipe.passes):
            if number > 0:
                lacks_modules = order.request["hr_additional_modules"] is None
                if lacks_modules and self.flavour.hires_needs_modules:
                    raise RunError("TypeError", "argument of type 'NoneType' is not iterable")
                with self.gate.changed:
                    self.progress.state.next_job()
            done = self._sample(order, steps, seconds, fault if number == 0 else None)
            if done < 1:
                return done
        return 1.0

    def _sample(self, order: Order, steps: int, seconds: float, fault: Fault | None) -> float:
        with self.gate.changed:
            self.progress.state.sampling_steps = steps
        began = time.monotonic()
        for step in range(steps):
            with self.gate.changed:
                self.progress.state.sampling_step = step
            if fault and step == steps // 2:
                self._strike(fault, order)
            self.gate.pause(began + seconds * (step + 1) / steps - time.monotonic())
            if self._interrupted() or self.progress.state.skipped:
                return (step + 1) / steps
        return 1.0

    def _interrupted(self) -> bool:
        return self.progress.state.interrupted

    def _strike(self, fault: Fault, order: Order) -> None:
        """Let a fault happen at half of the steps."""
        match fault.kind:
            case "error_500_text":
                raise PlainRunError
            case "error_500_json":
                raise RunError("RuntimeError", "simulated failure")
            case "oom":
                raise RunError("OutOfMemoryError", OUT_OF_MEMORY)
            case "hang":
                self.gate.pause(fault.seconds)
            case "close_midway":
                order.cut_connection()
            case "die":
                self._die()
                raise AbortedError

    def _save(
        self, order: Order, recipe: Recipe, index: int, picture: Image.Image, folder: str
    ) -> str | None:
        """Write a picture if the job wants it on disk; its path. Half ones are not written."""
        stopped = self._interrupted() or self.progress.state.skipped
        if stopped and not self.options["save_incomplete_images"]:
            return None
        if not order.request["save_images"] or not self.options["samples_save"]:
            return None
        ending = self.options["samples_format"]
        data = pictures.encode(picture, recipe.infotext(index), ending)
        return self.outputs.save(folder, recipe, index, data, self.options)

    def _put_grid_first(self, order: Order, result: Result, folder: str) -> int:
        """Put a grid in front of the pictures where Forge does; the place of the first picture."""
        options = self.options
        alone = len(result.images) < 2 and options["grid_only_if_multiple"]
        if not order.request["save_images"] or alone or not result.images:
            return 0
        sheet, path = pictures.grid(result.images), None
        if options["grid_save"]:
            grids = options["outdir_grids"] or options[f"outdir_{order.kind}_grids"]
            data = pictures.encode(sheet, result.infotexts[0])
            path = self.outputs.save_grid(grids, data, options)
        if not options["return_grid"]:
            return 0
        result.images.insert(0, sheet)
        result.paths.insert(0, path)
        result.infotexts.insert(0, result.infotexts[0])
        return 1
