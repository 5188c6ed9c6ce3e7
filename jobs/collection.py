"""Fetching the pictures that a Forge kept of a generation whose answer was lost.

They carry their own infotext, which tells what the answer would have told: seed and model.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

from jobs import infotext, payload
from jobs.models import Job
from servers.foreign_data import png_text
from servers.forge import ForgeBadReply, ForgeError, ForgeUnreachable, Generation, Kind
from servers.forge_ways import Forge

logger = logging.getLogger(__name__)

_TOLD: Mapping[str, tuple[str, type]] = {
    "Sampler": ("sampler_name", str),
    "Steps": ("steps", int),
    "CFG scale": ("cfg_scale", float),
    "Denoising strength": ("denoising_strength", float),
    "Model": ("sd_model_name", str),
    "Model hash": ("sd_model_hash", str),
    "Version": ("version", str),
}
"""Settings of an infotext, and what the `info` of an answer calls them."""


def collect(client: Forge, job: Job) -> Generation | None:
    """The generation of the job's present task, put together from its kept pictures.

    None if Forge has them not, not all, or not whole: it keeps none of an interrupted one.
    Raises ForgeUnreachable.
    """
    count = payload.image_count(job.parameters)
    names = payload.copy_names(job.task_id, count)
    try:
        pictures = client.kept_pictures(cast(Kind, job.kind), job.task_id, names)
        return _generation(client.address, pictures)
    except ForgeUnreachable:
        raise
    except ForgeError as error:
        logger.info("job %s has no copies to fetch: %s", str(job.id)[:8], error)
        return None


def _generation(address: str, pictures: tuple[bytes, ...]) -> Generation:
    """What the pictures say of themselves. Raises ForgeBadReply if it is not enough."""
    texts = tuple(png_text(picture, "parameters") for picture in pictures)
    try:
        read = [infotext.parse(text) for text in texts]
        seeds = tuple(int(one.settings["Seed"]) for one in read)
    except (ValueError, KeyError) as error:
        raise ForgeBadReply(
            f"{address} keeps pictures that do not say how they were drawn."
        ) from error
    first = read[0]
    return Generation(
        images=pictures,
        info=_info(read, seeds, texts),
        seeds=seeds,
        infotexts=texts,
        model_name=first.settings.get("Model", ""),
        model_hash=first.settings.get("Model hash", ""),
    )


def _info(
    read: list[infotext.Infotext], seeds: tuple[int, ...], texts: tuple[str, ...]
) -> dict[str, Any]:
    """The part of an answer's `info` that the pictures themselves tell."""
    first = read[0]
    info: dict[str, Any] = {
        "prompt": first.prompt,
        "all_prompts": [one.prompt for one in read],
        "negative_prompt": first.negative_prompt,
        "all_negative_prompts": [one.negative_prompt for one in read],
        "seed": seeds[0],
        "all_seeds": list(seeds),
        "index_of_first_image": 0,
        "infotexts": list(texts),
    }
    width, _, height = first.settings.get("Size", "").partition("x")
    if width.isdecimal() and height.isdecimal():
        info |= {"width": int(width), "height": int(height)}
    for name, (told, kind) in _TOLD.items():
        try:
            info[told] = kind(first.settings[name])
        except (KeyError, ValueError):
            continue
    return info
