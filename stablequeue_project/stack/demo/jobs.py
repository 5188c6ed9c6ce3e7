"""What the demo sends: its servers, their checkpoints, and the jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SERVERS = {"Demo Attic": "forge-attic", "Demo Cellar": "forge-cellar"}
"""The aliases of the simulated Forges, and the names of their processes."""

_LANDSCAPES = "SDXL/openVistas_v2.safetensors"
_PORTRAITS = "Pony/paperPortraits_v6.safetensors"
CHECKPOINTS = (_LANDSCAPES, _PORTRAITS)


@dataclass(frozen=True)
class DemoJob:
    """One job of the demo: its name on screen, where it goes, and what it asks for."""

    title: str
    server: str
    parameters: dict[str, Any]


def all_jobs() -> list[DemoJob]:
    """Return the jobs in the order in which they are sent, the servers in turns."""
    servers = [*SERVERS]
    return [
        DemoJob(title, servers[number % len(servers)], {**_COMMON, **parameters})
        for number, (title, parameters) in enumerate(_WISHES)
    ]


def picture_count(job: DemoJob) -> int:
    """Return how many pictures the job is to yield."""
    return int(job.parameters.get("num_images", 1))


_COMMON = {
    "negative_prompt": "blurry, watermark, text",
    "sampler_name": "Euler",
    "scheduler": "Karras",
    "cfg_scale": 5.5,
    "steps": 24,
}
_WISHES: list[tuple[str, dict[str, Any]]] = [
    (
        "Lighthouse in a storm",
        {
            "positive_prompt": "a lighthouse in a storm, tall waves, dramatic clouds, oil painting",
            "checkpoint_name": _LANDSCAPES,
            "width": 768,
            "height": 512,
        },
    ),
    (
        "Portrait of a clockmaker",
        {
            "positive_prompt": "portrait of an old clockmaker, warm lamp light, paper cut-out",
            "checkpoint_name": _PORTRAITS,
            "width": 512,
            "height": 768,
        },
    ),
    (
        "Rice terraces at dawn",
        {
            "positive_prompt": "rice terraces at dawn, mist, wide view, soft colours",
            "checkpoint_name": _LANDSCAPES,
            "width": 1024,
            "height": 576,
            "steps": 30,
        },
    ),
    (
        "Two moods of a fox",
        {
            "positive_prompt": "a fox in a winter coat, storybook illustration",
            "checkpoint_name": _PORTRAITS,
            "width": 640,
            "height": 640,
            "num_images": 2,
        },
    ),
    (
        "Desert under two moons",
        {
            "positive_prompt": "a desert under two moons, dunes, stars, science fiction",
            "checkpoint_name": _LANDSCAPES,
            "width": 896,
            "height": 512,
        },
    ),
    (
        "Beekeeper in bloom",
        {
            "positive_prompt": "a beekeeper among apple blossoms, gouache, spring light",
            "checkpoint_name": _PORTRAITS,
            "width": 576,
            "height": 768,
            "seed": 20251123,
        },
    ),
    (
        "Harbour in the rain",
        {
            "positive_prompt": "a small harbour in the rain, lanterns, wet cobblestones, night",
            "checkpoint_name": _LANDSCAPES,
            "width": 768,
            "height": 768,
            "cfg_scale": 7,
        },
    ),
    (
        "Astronaut with a violin",
        {
            "positive_prompt": "an astronaut playing the violin, portrait, pastel colours",
            "checkpoint_name": _PORTRAITS,
            "width": 512,
            "height": 512,
            "steps": 16,
        },
    ),
]
