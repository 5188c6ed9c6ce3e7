"""What the functions of Forge's page do, and how they answer.

A generation that fails is answered as a success without pictures, its error in a line of HTML.
"""

from __future__ import annotations

import html
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from servers.simulator import gradio_inputs, pictures
from servers.simulator.engine import Engine, Order, Result
from servers.simulator.errors import AbortedError, SimulatorError
from servers.simulator.faults import Stage
from servers.simulator.gradio_page import CHECKPOINT, MODULES
from servers.simulator.gradio_queue import Event, PageQueue

_NO_CHANGE = {"__type__": "update"}
_STOPS_LATER = "Generation will stop after finishing this image, click again to stop immediately."


class WrongInputsError(SimulatorError):
    """A call brought another number of values than its function has inputs."""


class PageCalls:
    """The page's functions, done by an engine."""

    def __init__(self, engine: Engine, own_values: Mapping[str, Any]) -> None:
        self._engine = engine
        self._own_values = own_values

    def refreshed(self) -> list[Any]:
        """The dropdowns of models, with what is listed now."""
        catalogue = self._engine.catalogue
        names = [catalogue.name(model) for model in catalogue.listed]
        return [_choices(names), _choices(self._engine.modules)]

    def arrive(self, event: Event) -> None:
        """Meet the faults of a request that asks for a picture. May wait very long."""
        if event.function.action != "txt2img":
            return
        said = dict(zip((it.elem_id for it in event.function.inputs), event.data, strict=False))
        prompt = str(said.get("txt2img_prompt") or "")
        if fault := self._engine.faults.take(Stage.ARRIVAL, prompt):
            self._engine.gate.wait(fault.seconds)

    def call(self, event: Event, queue: PageQueue) -> list[Any]:
        """Do what `event` asks for; the values of its function's outputs.

        Raises WrongInputsError, and AbortedError when the simulator stops.
        """
        if len(event.data) < len(event.function.inputs):
            raise WrongInputsError
        match event.function.action:
            case "txt2img":
                return self._generate(event)
            case "restore":
                return self._restore(event)
            case "skip":
                self._engine.progress.skip()
            case "interrupt":
                if self._engine.progress.interrupt_from_page():
                    queue.log(event, _STOPS_LATER)
            case "checkpoint":
                self._engine.options.set({"sd_model_checkpoint": event.data[0]})
                self._engine.options.save()
            case "refresh":
                self._engine.catalogue.refresh()
                return self.refreshed()
        return []

    def _generate(self, event: Event) -> list[Any]:
        began = time.monotonic()
        task_id = str(event.data[0] or "")
        if not (task_id.startswith("task(") and task_id.endswith(")")):
            task_id = ""
        try:
            result = self._draw(event, task_id)
            output = self._shown(result, event.root)
            output[0] = self._spoilt(output[0], result.info["prompt"], event.root)
        except AbortedError:
            raise
        except SimulatorError as error:
            output = [[], "", "", f"<div class='error'>{html.escape(str(error))}</div>"]
        return [*output[:3], output[3] + _time_taken(time.monotonic() - began)]

    def _draw(self, event: Event, task_id: str) -> Result:
        options = self._engine.options.everything()
        # Values beyond the inputs are left unread, as gradio does.
        pairs = zip(event.function.inputs, event.data, strict=False)
        said = {**self._own_values, **{it.elem_id: value for it, value in pairs if it.elem_id}}
        request = gradio_inputs.read(said, options)
        order = Order(
            "txt2img",
            request,
            task_id,
            task_id,
            from_page=True,
            cut_connection=event.cut_connection,
        )
        return self._engine.generate(order, list)

    def _spoilt(self, gallery: list[Any], prompt: str, root: str) -> list[Any]:
        """The pictures as a fault lets them arrive. Faults of the API's own answer do nothing."""
        fault = self._engine.faults.take(Stage.ANSWER, prompt)
        match fault.kind if fault else None:
            case "no_images":
                return []
            case "fewer_images":
                return gallery[:-1]
            case "huge_image":
                data = pictures.claims_to_be_huge()
            case "not_png":
                data = b"these bytes are no picture"
            case _:
                return gallery
        path = self._engine.outputs.save_temporary(data, "png")
        return [{"image": _file_data(path, root), "caption": None} for _ in gallery]

    def _restore(self, event: Event) -> list[Any]:
        """What a run gave whose stream was lost: of the last two runs of the page."""
        task_id, engine = event.data[0], self._engine
        engine.gate.wait_until(lambda: not engine.progress.tasks.at_work(task_id))
        for known, result in list(engine.page_results):
            if known == task_id:
                return self._shown(result, event.root)
        lost = f"Couldn't restore progress for {task_id}: results either have been discarded or "
        return [_NO_CHANGE, _NO_CHANGE, _NO_CHANGE, f"{lost}never were obtained"]

    def _shown(self, result: Result, root: str) -> list[Any]:
        gallery = []
        triples = zip(result.images, result.infotexts, result.paths, strict=True)
        for picture, infotext, saved in triples:
            path = saved
            if path is None:
                data = pictures.encode(picture, infotext)
                path = self._engine.outputs.save_temporary(data, "png")
            gallery.append({"image": _file_data(path, root), "caption": None})
        info = json.dumps(result.info, ensure_ascii=False)
        return [gallery, info, _paragraph(result.info["infotexts"][0]), "<p class='comments'></p>"]


def offered(engine: Engine) -> dict[str | int, list[str]]:
    """What the page's dropdowns offer when it is built, by elem_id or number.

    Models laid down later are offered only to who asks for a refresh.
    """
    lists = engine.lists
    models = [engine.catalogue.name(model) for model in engine.catalogue.listed]
    samplers = [item["name"] for item in lists["samplers"]]
    schedulers = [item["label"] for item in lists["schedulers"]]
    latent = [item["name"] for item in lists["latent_upscale_modes"]]
    return {
        CHECKPOINT: models,
        MODULES: list(engine.modules),
        "txt2img_checkpoint": ["", *models],
        "hr_checkpoint": ["Use same checkpoint", *models],
        "hr_vae_te": ["Use same choices", "Built in", *engine.modules],
        "txt2img_sampling": samplers,
        "hr_sampler": ["Use same sampler", *samplers],
        "txt2img_scheduler": schedulers,
        "hr_scheduler": ["Use same scheduler", *schedulers],
        "txt2img_hr_upscaler": [*latent, *(item["name"] for item in lists["upscalers"])],
        "txt2img_styles": [],
        "txt2img_override_settings": [],
    }


def _file_data(path: str, root: str) -> dict[str, Any]:
    return {
        "path": path,
        "url": f"{root}/file={path}",
        "size": None,
        "orig_name": None,
        "mime_type": None,
        "is_stream": False,
        "meta": {"_type": "gradio.FileData"},
    }


def _choices(names: Iterable[str]) -> dict[str, Any]:
    return {"choices": [[name, name] for name in names], "__type__": "update"}


def _paragraph(text: str) -> str:
    lines = "<br>\n".join(html.escape(line) for line in text.split("\n"))
    return f"<p>{lines}</p>"


def _time_taken(seconds: float) -> str:
    minutes = f"{int(seconds // 60)} min. " if seconds >= 60 else ""
    taken = f"<span class='measurement'>{minutes}{seconds % 60:.1f} sec.</span>"
    return f"<div class='performance'><p class='time'>Time taken: <wbr>{taken}</p></div>"
