"""A Redis that forgets, dies, stands still, or has had enough."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
from functools import partial

from redis import RedisError

from chaos.stack import Stack


def wipe_redis(stack: Stack, chance: random.Random) -> str:
    """FLUSHALL."""
    with stack.redis() as client, contextlib.suppress(RedisError):
        return f"{client.dbsize()} keys, {client.flushall()}"
    return "it was away"


def replace_redis(stack: Stack, chance: random.Random) -> str:
    """kill -9, and an empty one in its place after a while."""
    stack.supervisor.power_cut("redis")
    shutil.rmtree(stack.folder.redis, ignore_errors=True)
    stack.folder.redis.mkdir(mode=0o700)
    seconds = chance.choice((0.0, 1.0, 3.0))
    stack.later(seconds, partial(stack.supervisor.release, "redis"))
    return f"after {seconds} s"


def freeze_redis(stack: Stack, chance: random.Random) -> str:
    """Connections stay open and nothing is answered."""
    seconds = chance.choice((0.5, 2.0, 5.0))
    stack.supervisor.send("redis", signal.SIGSTOP)
    stack.later(seconds, partial(stack.supervisor.send, "redis", signal.SIGCONT))
    return f"for {seconds} s"


def drop_redis_connections(stack: Stack, chance: random.Random) -> str:
    """CLIENT KILL, several times."""
    times = chance.choice((1, 5))
    dropped = 0
    with stack.redis() as client, contextlib.suppress(RedisError):
        for _ in range(times):
            for kind in ("normal", "pubsub"):
                dropped += int(client.client_kill_filter(_type=kind, skipme=True))
    return f"{dropped} connections"


def fill_redis(stack: Stack, chance: random.Random) -> str:
    """It takes nothing in any more."""
    with stack.redis() as client, contextlib.suppress(RedisError):
        client.config_set("maxmemory", "1mb")
        stack.later(3.0, partial(_unfill, stack))
        return "for 3 s"
    return "it was away"


def _unfill(stack: Stack) -> None:
    with stack.redis() as client, contextlib.suppress(RedisError):
        client.config_set("maxmemory", "0")


STEPS = (wipe_redis, replace_redis, freeze_redis, drop_redis_connections, fill_redis)
