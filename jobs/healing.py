"""Healing a Forge that lost its checkpoint when another one failed to load.

It goes on believing that the lost one is there, and every job on that one fails, until another
checkpoint was loaded. So a tiny picture is drawn with another one, in the slot of the job that
met the illness and whose fate is settled by then: nothing else goes there meanwhile.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Sequence
from typing import Any

from jobs import payload, slots
from jobs.insist import insist
from jobs.leaving import Leaving
from jobs.models import Job, Slot
from jobs.outcomes import Ill
from jobs.pulse import Pulse
from jobs.slots import LeaseLost
from models_catalog import names
from servers import health, holds
from servers.forge import (
    Checkpoint,
    ForgeCheckpointBroken,
    ForgeConnectionLost,
    ForgeError,
    ForgeFailed,
    ForgePoisoned,
    ForgeRejected,
    ForgeStalled,
)
from servers.forge_ways import Forge
from servers.models import Server

logger = logging.getLogger(__name__)

MAX_TRIES = 3
"""Checkpoints that are loaded, and fail, before a server is given up; each may take minutes."""
MAX_LOOKED_AT = 100
"""Past jobs from which is learnt what has drawn there, and what failed to load."""

PAYLOAD: dict[str, Any] = {
    "prompt": "",
    "steps": 1,
    "width": 64,
    "height": 64,
    "cfg_scale": 1,
    "seed": 1,
    "batch_size": 1,
    "n_iter": 1,
    "sampler_name": "Euler",
    "send_images": True,
    "save_images": False,
}
"""The least a Forge can draw; what counts is the checkpoint that it loads for it."""

_CANNOT_HEAL = (ForgeFailed, ForgeRejected)
"""What a try with another checkpoint may end in, while others may still heal."""


def heal(server: Server, ill: Ill) -> None:
    """Have the server load a checkpoint that works, then give its slot back.

    A server that nothing heals is held, with a sentence. To be called once the job is settled.
    """
    still_drawing = False
    lease = ill.lease
    try:
        lease = slots.use_for(lease, f"{lease.task_id}-h")
        if _load_another(server, Pulse(lease, Slot.State.DRAINING), ill):
            _note_healed(server, ill)
        else:
            _hold(server)
    except LeaseLost:
        return
    except Leaving:
        insist(lambda: slots.leave(lease))
        return
    except ForgeError as error:
        trouble = error
        logger.info("%s cannot be healed now: %s", server.alias, error)
        insist(lambda: health.note(server, trouble))
        still_drawing = isinstance(error, ForgeStalled | ForgeConnectionLost)
    insist(lambda: slots.hand_over(lease) if still_drawing else slots.free(lease))


def candidates(
    listed: Sequence[Checkpoint], *, spoilt: str, drew: Sequence[str], broken: Collection[str] = ()
) -> list[Checkpoint]:
    """The checkpoints that may heal, the most promising first.

    `spoilt` is the name of the one that cannot; `drew` are the hashes of those that have
    drawn, the latest first; `broken` are names of which one failed to load of late. The
    latest comes near the end, as it is probably the one that was lost. A checkpoint without
    a hash was never loaded there.
    """
    lost, *proven = drew or [""]

    def promise(checkpoint: Checkpoint) -> tuple[int, int]:
        known = checkpoint.hash
        if checkpoint.name in broken:
            return 4, 0
        if known and known in proven:
            return 0, proven.index(known)
        if known and known == lost:
            return 3, 0
        return (1, 0) if known else (2, 0)

    return sorted((one for one in listed if one.name != spoilt), key=promise)


def _load_another(server: Server, pulse: Pulse, ill: Ill) -> bool:
    """Try to load one checkpoint after the other. Raises ForgeError when Forge is away."""
    client = server.client()
    tries = 0
    listed = client.checkpoints()
    drew, broken = _drew(server), _broken(server, listed)
    for checkpoint in candidates(listed, spoilt=ill.spoilt, drew=drew, broken=broken):
        try:
            _draw_a_little(client, pulse, checkpoint)
        except ForgePoisoned:
            # It was this one that was lost: nothing was loaded, and no time spent.
            continue
        except _CANNOT_HEAL as error:
            logger.warning("%s is not healed by %s: %s", server.alias, checkpoint.name, error)
            tries += 1
            if tries >= MAX_TRIES:
                return False
            continue
        logger.warning("%s is healed: it has loaded %s", server.alias, checkpoint.name)
        return True
    return False


def _draw_a_little(client: Forge, pulse: Pulse, checkpoint: Checkpoint) -> None:
    """Raises ForgeError, LeaseLost and Leaving."""

    def beat(_: object) -> bool:
        pulse.beat(phase="recovering")
        return False

    client.generate(
        "txt2img",
        {**PAYLOAD, "override_settings": {"sd_model_checkpoint": checkpoint.name}},
        pulse.lease.task_id,
        expected_images=1,
        on_progress=beat,
        before_sending=pulse.require_fresh,
        preview=False,
    )


def _drew(server: Server) -> list[str]:
    """The hashes of the checkpoints that drew there of late, each once, the last one first."""
    done = Job.objects.filter(server=server, status=Job.Status.COMPLETED).order_by("-finished_at")
    told = done.values_list("result__generation_info__sd_model_hash", flat=True)[:MAX_LOOKED_AT]
    return list(dict.fromkeys(one for one in told if isinstance(one, str) and one))


def _broken(server: Server, listed: Sequence[Checkpoint]) -> set[str]:
    """The names of the checkpoints that failed to load there of late."""
    failed = Job.objects.filter(server=server, status=Job.Status.FAILED)
    blamed = failed.filter(result__error=ForgeCheckpointBroken.code).order_by("-finished_at")
    found = set()
    for parameters in blamed.values_list("parameters", flat=True)[:MAX_LOOKED_AT]:
        with contextlib.suppress(names.CheckpointNameError):
            found.add(names.match(payload.wanted_checkpoint(parameters), listed).listed.name)
    return found


def _note_healed(server: Server, ill: Ill) -> None:
    """Count the illness, lest a server that falls ill again and again is healed for ever."""
    if isinstance(ill.error, ForgeCheckpointBroken):
        return
    insist(lambda: health.note(server, ill.error))


def _hold(server: Server) -> None:
    sentence = (
        f"{server.address} lost its checkpoint when another one failed to load, and no other "
        "checkpoint could be loaded to heal it. Restart that Forge."
    )
    insist(
        lambda: holds.note_failure(
            server_id=server.pk, address=server.address, sentence=sentence, at_once=True
        )
    )
