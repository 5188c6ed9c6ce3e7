"""All controls of the queue at once: a thousand jobs wait, four servers work, everything dies."""

import contextlib

import pytest

from servers.simulator.server import ForgeSimulator
from tests.flows.stack import OwnRedis, Stack, eventually

SERVERS = 4
WAITING = 250
"""For each server."""


@pytest.fixture
def crowd(tmp_path):
    """A stack of its own with four servers, each with a long line; yields what it has."""
    with contextlib.ExitStack() as running:
        redis = running.enter_context(OwnRedis(tmp_path))
        forges = [
            running.enter_context(ForgeSimulator(seconds=0.2, load_seconds=0))
            for _ in range(SERVERS)
        ]
        stack = running.enter_context(Stack(tmp_path / "data", redis_url=redis.url))
        aliases = [stack.add_server(forge.port) for forge in forges]
        for alias in aliases:
            stack.generate_many(alias, WAITING)
        yield stack, redis, dict(zip(aliases, forges, strict=True))


def ask(stack, verb, path, **body):
    answer = stack.api.request(verb, f"{stack.url}/api/v1/{path}", json=body, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def next_three(stack, alias):
    """Give the last of three new jobs a place before the other two; returns them as they go."""
    low, high, front = (stack.generate(alias, seed=seed, steps=1) for seed in (901, 902, 903))
    ask(stack, "PATCH", f"queue/jobs/{low}", priority=9)
    ask(stack, "PATCH", f"queue/jobs/{high}", priority=10)
    ask(stack, "POST", f"queue/jobs/{front}/move", to="front")
    return [front, high, low]


def test_a_long_queue_is_steered_while_it_works_and_stays_so_when_everything_is_killed(crowd):
    stack, redis, forges = crowd
    aliases = list(forges)
    eventually(lambda: all(forge.journal.generations for forge in forges.values()), what="work")

    ask(stack, "POST", "queue/pause", reason="Moving house")
    places = {alias: next_three(stack, alias) for alias in aliases}
    stack.steer(aliases[3], "pause")
    eventually(lambda: ask(stack, "GET", "queue")["processing"] == 0, what="quiet")
    seen = {alias: len(forge.journal.generations) for alias, forge in forges.items()}

    stack.kill_everything()
    redis.client.flushall()
    stack.start()

    for alias, jobs in places.items():
        assert [stack.job(job)["queue_position"] for job in jobs] == [1, 2, 3], alias
    assert stack.job(places[aliases[0]][0])["phase"] == "paused"
    ask(stack, "POST", "queue/resume")
    for alias in aliases[:3]:
        stack.wait_for(places[alias][2], "completed")
        drawn = [entry.seed for entry in forges[alias].journal.generations[seen[alias] :]]
        assert drawn[:3] == [903, 902, 901]
        assert forges[alias].journal.max_parallel == 1
    assert len(forges[aliases[3]].journal.generations) == seen[aliases[3]]
