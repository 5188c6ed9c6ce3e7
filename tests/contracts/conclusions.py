"""What our code concludes from a recorded answer of Forge, in one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from jobs import comparison, runner, settlement
from jobs.models import Job
from jobs.outcomes import Charged, Gone, Ill, Lost, Outcome, Refused, Snoozed, of_forge_error
from jobs.preparation import Plan
from jobs.slots import Lease
from models_catalog import names
from servers.forge import (
    Checkpoint,
    ForgeCheckpointBroken,
    ForgeClient,
    ForgeError,
    ForgePoisoned,
    Generation,
    Kind,
    Timing,
)
from servers.forge_replies import read_checkpoints, read_loras, read_names
from servers.forge_session import ForgeSession
from tests.contracts.page_replay import PageReplay
from tests.contracts.replay import GENERATIONS, Replay, replaying
from tests.servers.recordings import exchanges, replies

ALIAS = "Forge"
LEASE = Lease(1, "t-ours", 1)
QUICK = Timing(poll=0.02, poll_short=0.02, connect=2, answer=5)
LISTED_THERE = {"checkpoint-file-deleted": "gone_v1.safetensors"}
"""Checkpoints that were on the list, where the recording does not hold it."""


def of_generation(name: str, *, post: int = 0, stop: bool = False) -> str:
    """What we conclude from generation number `post` of a recording; `stop`: we want it gone."""
    replay = Replay(name, post=post)
    assert replay.generation
    kind = replay.generation[0]["path"].rpartition("/")[2]
    return _conclude(name, replay, ForgeClient, kind, stop)


def of_page_generation(name: str, *, stop: bool = False) -> str:
    """The same of a generation over Forge's page."""
    return _conclude(name, PageReplay(name), ForgeSession, "txt2img", stop)


def of_question(name: str, ask: Callable[[ForgeClient], Any], *, start: int = 0) -> str:
    """What we conclude from the answers to plain questions, from number `start` on."""
    with replaying(Replay(name, start=start)) as address:
        try:
            return str(ask(ForgeClient(address, timing=QUICK)))
        except ForgeError as error:
            return _told(of_forge_error(error, sent=None), address)


def _conclude(
    name: str,
    replay: Replay | PageReplay,
    client: type[ForgeClient] | type[ForgeSession],
    kind: str,
    stop: bool,
) -> str:
    try:
        plan = _plan(name, replay.wish)
    except names.CheckpointNameError as error:
        return f"refused before it is sent, {error.code}: {error}"
    job = Job(target_alias=ALIAS, kind=kind, parameters=replay.wish, seed=1)
    with replaying(replay) as address:
        try:
            generation = client(address, timing=QUICK).generate(
                cast(Kind, kind),
                replay.wish,
                replay.task_id,
                expected_images=_count(replay.wish),
                on_progress=lambda progress: stop,
            )
        except ForgeError as error:
            return _told(_of_error(job, plan, error), address)
    ended = settlement._judge(job, plan, generation)
    return _told(ended, address) if ended else _completed(replay.wish, generation)


def _count(wish: dict[str, Any]) -> int:
    numbers = [wish.get(name) for name in ("n_iter", "batch_size")]
    rounds, size = (number if isinstance(number, int) and number else 1 for number in numbers)
    return rounds * size


def _plan(name: str, wish: dict[str, Any]) -> Plan:
    """The checkpoint that is meant, by the list of the recorded server."""
    overrides = wish.get("override_settings")
    wanted = overrides.get("sd_model_checkpoint") if isinstance(overrides, dict) else None
    if names.is_no_override(wanted):
        return Plan(None)
    lists = replies(name, "/sdapi/v1/sd-models") or replies("get-sd-models")
    listed = list(read_checkpoints(lists[0]))
    if more := LISTED_THERE.get(name):
        listed.append(Checkpoint(title=more, model_name=more, filename=more, hash="", sha256=""))
    return Plan(names.match(str(wanted), listed).listed)


def _of_error(job: Job, plan: Plan, error: ForgeError) -> Outcome:
    if isinstance(error, ForgePoisoned | ForgeCheckpointBroken):
        return runner._ill(job, LEASE, plan, error)
    return of_forge_error(error, sent=LEASE)


def _completed(wish: dict[str, Any], generation: Generation) -> str:
    doubts = comparison.doubts(wish, generation)
    loras = {lora.name for lora in read_loras(replies("get-loras")[0])}
    modules = set(read_names(replies("get-sd-modules")[0], "model_name"))
    warnings = [
        *comparison.differences(wish, generation),
        *comparison.missing(doubts, loras=loras, modules=modules),
    ]
    told = f"completed: {len(generation.images)} by {generation.model_name}"
    return " | ".join([told, *warnings])


def _told(outcome: Outcome, address: str) -> str:
    match outcome:
        case Ill(ending=ending):
            return f"healed, and {_told(ending, address)}"
        case Snoozed(code, message) | Charged(code, message) | Refused(code, message):
            kind = type(outcome).__name__.lower()
            return f"{kind} {code}: {message.replace(address, ALIAS)}"
        case Lost(_, code, message):
            return f"lost {code}: {message.replace(address, ALIAS)}"
        case Gone():
            return "gone"
    raise AssertionError(outcome)


def generations_in(name: str) -> int:
    """How many generations a recording holds."""
    asked = [request for request, _ in exchanges(name)]
    return len([one for one in asked if one["method"] == "POST" and one["path"] in GENERATIONS])
