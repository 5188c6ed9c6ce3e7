"""Reading what a Forge answers: from a reply to a typed result, or to the error it means.

Nothing here talks to anybody.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from servers.foreign_data import (
    decode_base64,
    is_whole_png,
    one_line,
    parse_json,
    picture_kind,
    png_size,
    tame,
)
from servers.forge_errors import ForgeBadReply
from servers.forge_refusals import Reply, require_answer, require_generation

MAX_PREVIEW_BYTES = 4 * 1024 * 1024
MAX_PIXELS = 2**28
"""Of one picture: 16,384 x 16,384."""

Picture = TypeVar("Picture")

TaskState = Literal["active", "queued", "completed", "unknown"]


@dataclass(frozen=True)
class Checkpoint:
    """One line of a server's checkpoint list.

    `hash` (10 digits) and `sha256` are empty until Forge has loaded the file once.
    """

    title: str
    model_name: str
    filename: str
    hash: str
    sha256: str

    @property
    def name(self) -> str:
        """The path below the server's model folder, with that system's own separators.

        It is the one identifier Forge always accepts, hashed or not.
        """
        return self.title.removesuffix(f" [{self.hash}]") if self.hash else self.title


@dataclass(frozen=True)
class Lora:
    """One line of a server's LoRA list; `name` is what a prompt calls it by."""

    name: str
    alias: str
    path: str


@dataclass(frozen=True)
class Progress:
    """What Forge says about one task id.

    A task that ended in an error keeps reading "active" at 0 until another one starts, so
    "active" proves life only together with a busy `Activity`. `preview` is a PNG, JPEG or
    WebP file, present only when a newer one than the caller's `preview_id` exists.
    """

    state: TaskState
    fraction: float = 0.0
    eta: float | None = None
    text: str = ""
    preview: bytes | None = None
    preview_id: int = -1


@dataclass(frozen=True)
class Activity:
    """What the whole Forge is doing, whoever asked for it.

    `stopped` says that somebody pressed interrupt, skip or stop; it stays set after the end
    of that job, until the next one begins. `preparing` is it before the first step, for
    example while a checkpoint loads; `position` changes with every step.
    """

    busy: bool
    stopped: bool
    job: str
    preparing: bool = False
    position: tuple[object, ...] = ()


@dataclass(frozen=True)
class Generation:
    """A finished generation. `images` are PNG files, byte for byte as Forge sent them.

    `interrupted` says that we wanted it stopped, `foreign_interrupt` that somebody else
    stopped it (as far as can be seen). In both cases pictures may be missing or half drawn,
    although Forge reports a success.
    """

    images: tuple[bytes, ...]
    info: dict[str, Any]
    seeds: tuple[int, ...]
    infotexts: tuple[str, ...]
    model_name: str
    model_hash: str
    interrupted: bool = False
    foreign_interrupt: bool = False


# --- questions -----------------------------------------------------------------------


def read_checkpoints(reply: Reply) -> tuple[Checkpoint, ...]:
    return tuple(
        Checkpoint(
            title=_text(item, "title"),
            model_name=_text(item, "model_name"),
            filename=_text(item, "filename"),
            hash=_text(item, "hash"),
            sha256=_text(item, "sha256"),
        )
        for item in _listing(reply)
    )


def read_loras(reply: Reply) -> tuple[Lora, ...]:
    return tuple(
        Lora(name=_text(item, "name"), alias=_text(item, "alias"), path=_text(item, "path"))
        for item in _listing(reply)
    )


def read_names(reply: Reply, key: str) -> tuple[str, ...]:
    """Read a list of objects of which only the text under `key` is wanted."""
    return tuple(_text(item, key) for item in _listing(reply))


def read_app_id(reply: Reply) -> str:
    """Read the number a Forge drew for its page when it started."""
    return str(_object(reply).get("app_id", ""))


def read_options(reply: Reply) -> dict[str, Any]:
    return _object(reply)


def read_progress(reply: Reply) -> Progress:
    answer = _object(reply)
    # A task id posted twice reads active and queued at once; what runs now counts.
    states: tuple[TaskState, ...] = ("active", "queued", "completed")
    state: TaskState = next((name for name in states if answer.get(name) is True), "unknown")
    fraction = _number(answer.get("progress")) or 0.0
    eta = _number(answer.get("eta"))
    preview_id = answer.get("id_live_preview")
    return Progress(
        state=state,
        fraction=1.0 if state == "completed" else min(max(fraction, 0.0), 1.0),
        eta=None if eta is None else max(eta, 0.0),
        text=one_line(answer.get("textinfo") or ""),
        preview=_preview(answer.get("live_preview")),
        preview_id=preview_id if isinstance(preview_id, int) else -1,
    )


_POSITION = ("job", "job_count", "job_no", "sampling_step", "job_timestamp")


def read_activity(reply: Reply) -> Activity:
    state = _object(reply).get("state")
    if not isinstance(state, dict) or not isinstance(state.get("job_count"), int):
        raise ForgeBadReply(f"{reply.address} does not answer as a Forge does.")
    return Activity(
        busy=state["job_count"] != 0,
        preparing=state["job_count"] == -1,
        stopped=any(
            state.get(flag) is True for flag in ("interrupted", "skipped", "stopping_generation")
        ),
        job=_text(state, "job"),
        position=tuple(state.get(name) for name in _POSITION),
    )


# --- generations ---------------------------------------------------------------------


def read_generation(
    reply: Reply,
    *,
    expected_images: int,
    settings: Collection[str] = (),
    may_be_partial: bool = False,
) -> Generation:
    """Read the answer of txt2img or img2img.

    The grid that Forge may put first is dropped, and so are pictures beyond the expected
    ones: extensions append their own, like ControlNet its maps. Fewer pictures than
    expected are an error unless `may_be_partial`. `settings` are the names of the overridden
    options, to tell an unknown one from a failure.
    """
    require_generation(reply, settings)
    answer = _parsed(reply)
    if not isinstance(answer, dict) or not isinstance(answer.get("images"), list):
        raise ForgeBadReply(f"{reply.address} answered a generation without a list of images.")
    info = read_info(reply.address, answer.get("info"))
    pictures = ours_among(
        answer["images"],
        info,
        address=reply.address,
        expected_images=expected_images,
        may_be_partial=may_be_partial,
    )
    return generation_of(
        reply.address, info, tuple(_png(reply.address, picture) for picture in pictures)
    )


def ours_among(
    pictures: Sequence[Picture],
    info: Mapping[str, Any],
    *,
    address: str,
    expected_images: int,
    may_be_partial: bool,
) -> Sequence[Picture]:
    """Leave out what Forge shows beside the pictures asked for: a grid before, others after.

    Raises ForgeBadReply for fewer than expected, unless `may_be_partial`.
    """
    first = _first_image(info)
    ours = pictures[first : first + expected_images]
    if len(ours) < expected_images and not may_be_partial:
        raise ForgeBadReply(f"{address} answered with {len(ours)} of {expected_images} images.")
    return ours


def generation_of(address: str, info: dict[str, Any], images: tuple[bytes, ...]) -> Generation:
    """Put a generation together from its pictures and what Forge says of them."""
    return Generation(
        images=images,
        info=info,
        seeds=_seeds(address, info, len(images)),
        infotexts=_infotexts(info, _first_image(info), len(images)),
        model_name=_text(info, "sd_model_name"),
        model_hash=_text(info, "sd_model_hash"),
    )


def read_saved_picture(reply: Reply) -> bytes:
    """Read a picture that Forge kept on its disk; it has to be a whole PNG."""
    require_answer(reply)
    return _whole_png(reply.address, reply.body)


def read_info(address: str, text: object) -> dict[str, Any]:
    """Read what Forge says of a generation: JSON inside of its JSON."""
    if not isinstance(text, str):
        raise ForgeBadReply(f"{address} answered a generation without its info.")
    return _object(Reply(address, 200, text.encode("utf-8", "replace")))


def _first_image(info: Mapping[str, Any]) -> int:
    """How many pictures in front are none of those asked for: the grid."""
    first = info.get("index_of_first_image")
    return first if isinstance(first, int) and first > 0 else 0


def _seeds(address: str, info: Mapping[str, Any], count: int) -> tuple[int, ...]:
    seeds = info.get("all_seeds")
    seeds = seeds[:count] if isinstance(seeds, list) else []
    fit = all(type(seed) is int and abs(seed) < 2**63 for seed in seeds)
    if len(seeds) < count or not fit:
        raise ForgeBadReply(f"{address} did not say which seed each image was drawn with.")
    return tuple(seeds)


def _infotexts(info: Mapping[str, Any], first: int, count: int) -> tuple[str, ...]:
    texts = info.get("infotexts")
    texts = texts[first : first + count] if isinstance(texts, list) else []
    texts = [text if isinstance(text, str) else "" for text in texts]
    return tuple(texts + [""] * (count - len(texts)))


def _png(address: str, text: object) -> bytes:
    """Decode one picture and check that it is a whole PNG; its pixels are not looked at."""
    if not isinstance(text, str):
        raise ForgeBadReply(f"{address} answered with an image that is no text.")
    try:
        data = decode_base64(text)
    except ValueError as error:
        raise ForgeBadReply(f"{address} answered with an image that is not base64.") from error
    return _whole_png(address, data)


def _whole_png(address: str, data: bytes) -> bytes:
    kind = picture_kind(data)
    if kind not in ("PNG", None):
        raise ForgeBadReply(
            f"{address} answered with a {kind} picture. "
            "Set 'File format for images' to png in that Forge's settings."
        )
    if not is_whole_png(data):
        raise ForgeBadReply(f"{address} answered with an image that is not a whole PNG.")
    width, height = png_size(data)
    if not 0 < width * height <= MAX_PIXELS:
        # Whoever opened it later would run out of memory.
        raise ForgeBadReply(f"{address} answered with an image of {width} x {height} pixels.")
    return data


# --- parts ---------------------------------------------------------------------------


def _parsed(reply: Reply) -> Any:
    try:
        return parse_json(reply.body)
    except ValueError as error:
        raise ForgeBadReply(f"{reply.address} answered with JSON that cannot be read.") from error


def _tamed(reply: Reply) -> Any:
    require_answer(reply)
    try:
        return tame(_parsed(reply))
    except ValueError as error:
        raise ForgeBadReply(f"{reply.address} answered with JSON nested too deeply.") from error


def _object(reply: Reply) -> dict[str, Any]:
    value = _tamed(reply)
    if not isinstance(value, dict):
        raise ForgeBadReply(f"{reply.address} does not answer as a Forge does.")
    return value


def _listing(reply: Reply) -> list[dict[str, Any]]:
    value = _tamed(reply)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ForgeBadReply(f"{reply.address} does not answer as a Forge does.")
    return value


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _preview(uri: object) -> bytes | None:
    if not isinstance(uri, str) or len(uri) > MAX_PREVIEW_BYTES:
        return None
    try:
        data = decode_base64(uri)
    except ValueError:
        return None
    return data if picture_kind(data) else None
