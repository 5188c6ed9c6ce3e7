"""Forge's own routes: generation, progress, options, lists, pictures."""

from __future__ import annotations

import json
import random
import socket
import string
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from PIL import Image
from werkzeug.wrappers import Request, Response

from servers.simulator import parameters, pictures
from servers.simulator.answers import broken, json_answer
from servers.simulator.engine import Engine, Order, Result
from servers.simulator.errors import PlainRunError, RefusalError, RunError
from servers.simulator.faults import Stage
from servers.simulator.infotext_reader import read_infotext
from servers.simulator.limits import MAX_PIXELS
from servers.simulator.switchboard import Answer, Routes


class ForgeApi:
    """Forge's own routes, as against those of its page."""

    def __init__(self, engine: Engine, *, port: Callable[[], int | None]) -> None:
        self._engine = engine
        self._lists = engine.lists
        self._port = port

    def routes(self) -> Routes:
        """Answers by method and path; each is called with the request and the path's values."""
        gets: dict[str, Answer] = {
            "/internal/ping": self._of({}),
            "/internal/pending-tasks": self._pending_tasks,
            "/internal/profile-startup": self._of(_STARTUP_PROFILE),
            "/controlnet/model_list": self._of({"model_list": ["None"]}),
            "/sd_extra_networks/metadata": self._of({}),
            "/sd_extra_networks/cover-images": self._no_cover,
            "/sdapi/v1/progress": self._overall_progress,
            "/sdapi/v1/options": self._options,
            "/sdapi/v1/sd-models": self._sd_models,
            "/sdapi/v1/loras": self._loras,
            "/sdapi/v1/sd-modules": self._sd_modules,
            "/sdapi/v1/sd-vae": self._sd_modules,
            "/sdapi/v1/samplers": self._of(self._lists["samplers"]),
            "/sdapi/v1/schedulers": self._of(self._lists["schedulers"]),
            "/sdapi/v1/upscalers": self._of(self._lists["upscalers"]),
            "/sdapi/v1/latent-upscale-modes": self._of(self._lists["latent_upscale_modes"]),
            "/sdapi/v1/face-restorers": self._of(self._lists["face_restorers"]),
            "/sdapi/v1/scripts": self._of(self._lists["scripts"]),
            "/sdapi/v1/embeddings": self._of({"loaded": {}, "skipped": {}}),
            "/sdapi/v1/hypernetworks": self._of([]),
            "/sdapi/v1/extensions": self._of([]),
            "/sdapi/v1/memory": self._of(_MEMORY),
            "/sdapi/v1/cmd-flags": self._cmd_flags,
            "/file=<path:path>": self._file,
            "/file/<path:path>": self._file,
        }
        posts: dict[str, Answer] = {
            "/internal/progress": self._task_progress,
            "/sdapi/v1/txt2img": self._txt2img,
            "/sdapi/v1/img2img": self._img2img,
            "/sdapi/v1/interrupt": self._interrupt,
            "/sdapi/v1/skip": self._skip,
            "/sdapi/v1/options": self._set_options,
            "/sdapi/v1/refresh-checkpoints": self._refresh_checkpoints,
            "/sdapi/v1/refresh-loras": self._of(None),
            "/sdapi/v1/refresh-vae": self._of(None),
            "/sdapi/v1/unload-checkpoint": self._of({}),
            "/sdapi/v1/reload-checkpoint": self._of({}),
            "/sdapi/v1/png-info": self._png_info,
            "/sdapi/v1/extra-single-image": self._extra_single_image,
        }
        return {
            **{("GET", path): answer for path, answer in gets.items()},
            **{("POST", path): answer for path, answer in posts.items()},
        }

    @staticmethod
    def _of(value: Any) -> Answer:
        """A route that always answers the same."""
        return lambda _request: json_answer(value)

    # --- generation ------------------------------------------------------------------

    def _txt2img(self, request: Request) -> Response:
        body = self._read(request, parameters.TXT2IMG)
        self._arrive(body)
        self._check_scripts("txt2img", body)
        result = self._engine.generate(_order("txt2img", body, request), list)
        return self._generated(body, result)

    def _img2img(self, request: Request) -> Response:
        body = self._read(request, parameters.IMG2IMG)
        self._arrive(body)
        if body["init_images"] is None:
            raise RefusalError(404, "Init image not found")
        if body["mask"]:
            pictures.decode_base64(body["mask"])
        self._check_scripts("img2img", body)

        def start_pictures() -> list[Image.Image]:
            return [pictures.decode_base64(str(text)) for text in body["init_images"]]

        result = self._engine.generate(_order("img2img", body, request), start_pictures)
        if not body["include_init_images"]:
            body["init_images"] = body["mask"] = None
        return self._generated(body, result)

    def _read(self, request: Request, fields: Mapping[str, parameters.Field]) -> dict[str, Any]:
        """The request; fields this relative does not know keep their defaults."""
        said = parameters.read_object(request.get_data())
        heard = json.dumps(self._engine.flavour.heard(said)).encode()
        return parameters.read(heard, fields)

    def _arrive(self, body: dict[str, Any]) -> None:
        if fault := self._engine.faults.take(Stage.ARRIVAL, body["prompt"] or ""):
            self._engine.gate.wait(fault.seconds)

    def _check_scripts(self, kind: str, body: dict[str, Any]) -> None:
        known = self._lists["scripts"][kind]
        for name in [body["script_name"], *(body["alwayson_scripts"] or {})]:
            if name and name.lower() not in known:
                raise RefusalError(422, f"Script '{name}' not found")

    def _generated(self, body: dict[str, Any], result: Result) -> Response:
        """The answer. Pictures are encoded after the overrides are gone, as in Forge."""
        ending = self._engine.options["samples_format"]
        images = [
            pictures.as_base64(pictures.encode(picture, infotext, ending))
            for picture, infotext in zip(result.images, result.infotexts, strict=True)
            if body["send_images"]
        ]
        fault = self._engine.faults.take(Stage.ANSWER, body["prompt"])
        match fault.kind if fault else None:
            case "no_images":
                images = []
            case "fewer_images":
                images = images[:-1]
            case "huge_image":
                images = [pictures.as_base64(pictures.claims_to_be_huge()) for _ in images]
            case "not_png":
                images = [pictures.as_base64(b"these bytes are no picture") for _ in images]
        info = json.dumps(result.info, ensure_ascii=False)
        said = self._engine.flavour.heard(body)
        return broken(json_answer({"images": images, "parameters": said, "info": info}), fault)

    # --- progress and control --------------------------------------------------------

    def _task_progress(self, request: Request) -> Response:
        body = parameters.read(request.get_data(), parameters.PROGRESS)
        fault = self._engine.faults.take(Stage.PROGRESS)
        if fault and fault.kind == "progress_500":
            raise PlainRunError
        if fault:
            self._engine.gate.wait(fault.seconds)
        answer = self._engine.progress.of_task(
            body["id_task"], body["id_live_preview"], body["live_preview"]
        )
        return json_answer(answer)

    def _overall_progress(self, request: Request) -> Response:
        skip_image = request.args.get("skip_current_image", "").lower() in ("1", "true")
        return json_answer(self._engine.progress.overall(skip_image=skip_image))

    def _pending_tasks(self, _request: Request) -> Response:
        pending = self._engine.progress.pending
        return json_answer({"size": len(pending), "tasks": pending})

    def _interrupt(self, _request: Request) -> Response:
        self._engine.progress.interrupt()
        return json_answer({})

    def _skip(self, _request: Request) -> Response:
        self._engine.progress.skip()
        return json_answer(None)

    # --- options and lists -----------------------------------------------------------

    def _options(self, _request: Request) -> Response:
        return json_answer(self._engine.options.everything())

    def _set_options(self, request: Request) -> Response:
        changes = parameters.read_object(request.get_data())
        checkpoint = changes.get("sd_model_checkpoint")
        if checkpoint is not None and self._engine.catalogue.find(checkpoint) is None:
            raise RunError("RuntimeError", f"model {checkpoint!r} not found")
        self._engine.options.set(changes)
        self._engine.options.save()
        return json_answer(None)

    def _sd_models(self, _request: Request) -> Response:
        return json_answer(self._engine.catalogue.sd_models())

    def _sd_modules(self, _request: Request) -> Response:
        return json_answer(
            [
                {"model_name": name, "filename": str(self._engine.catalogue.root / path)}
                for name, path in self._engine.modules.items()
            ]
        )

    def _loras(self, _request: Request) -> Response:
        return json_answer(self._engine.catalogue.lora_list())

    def _no_cover(self, _request: Request) -> Response:
        raise RefusalError(404, "File not found")

    def _refresh_checkpoints(self, _request: Request) -> Response:
        with self._engine.gate.turn():
            self._engine.catalogue.refresh()
        return json_answer(None)

    def _cmd_flags(self, _request: Request) -> Response:
        """Forge cannot show its flags when --port was given: its own answer fails its own check."""
        port = self._port()
        flags = {**self._lists["cmd_flags"], "port": port}
        if port is None:
            return json_answer({key: flags[key] for key in flags if key not in _FLAGS_NOT_SHOWN})
        message = (
            "1 validation errors:\n  {'type': 'string_type', 'loc': ('response', 'port'), "
            f"'msg': 'Input should be a valid string', 'input': {port}, "
            "'url': 'https://errors.pydantic.dev/2.8/v/string_type'}\n"
        )
        body = {"error": "ResponseValidationError", "detail": "", "body": flags}
        return json_answer({**body, "message": message}, 500)

    # --- pictures --------------------------------------------------------------------

    def _file(self, _request: Request, path: str) -> Response:
        data = self._engine.outputs.fetch(path)
        kinds = {"jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}
        kind = kinds.get(path.rsplit(".", 1)[-1].lower(), "image/png")
        return Response(data, content_type=kind, headers={"Accept-Ranges": "bytes"})

    def _png_info(self, request: Request) -> Response:
        body = parameters.read(request.get_data(), parameters.PNG_INFO)
        infotext = str(pictures.decode_base64(body["image"]).info.get("parameters", ""))
        answer = {"info": infotext, "items": {}, "parameters": read_infotext(infotext)}
        return json_answer(answer)

    def _extra_single_image(self, request: Request) -> Response:
        body = parameters.read(request.get_data(), parameters.EXTRA_SINGLE_IMAGE)
        picture = pictures.decode_base64(body["image"])
        factor = min(max(body["upscaling_resize"], 1.0), 8.0)
        size = round(picture.width * factor), round(picture.height * factor)
        if body["resize_mode"] == 1:
            size = body["upscaling_resize_w"], body["upscaling_resize_h"]
        if not 0 < size[0] * size[1] <= MAX_PIXELS:
            raise RunError("ValueError", "height and width must be > 0")
        html = ""
        with self._engine.gate.turn():
            if body["upscaler_1"] != "None":
                picture = picture.resize(size)
                html = (
                    f"Postprocess upscale by: {factor}, Postprocess upscaler: {body['upscaler_1']}"
                )
        infotext = str(picture.info.get("parameters", ""))
        image = pictures.as_base64(pictures.encode(picture, infotext or html))
        return json_answer({"html_info": f"<p>{html}</p>", "image": image})


def _order(kind: str, body: dict[str, Any], request: Request) -> Order:
    connection = request.environ.get("werkzeug.socket")

    def cut() -> None:
        if isinstance(connection, socket.socket):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    letters = string.ascii_uppercase + string.digits
    drawn = f"task({kind}-{''.join(random.choices(letters, k=7))})"
    task_id = body["force_task_id"] or drawn
    return Order(kind, body, task_id, f"scripts_{kind}", cut_connection=cut)


_FLAGS_NOT_SHOWN = {"disable_extension_access", "webui_is_non_local"}
"""Worked out by Forge itself, so they are in no answer that passes its check."""
_STARTUP_PROFILE = {"total": 12.9, "records": {"launcher": 0.3, "import torch": 4.8}}
_MEMORY = {
    "ram": {"free": 18379182080.0, "used": 6897319936, "total": 25276502016.0},
    "cuda": {"error": "unavailable"},
}
