"""The rate limit where several processes serve, and Redis comes and goes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from apikeys import registry
from apikeys.models import ApiKey
from apikeys.registry import NewKey
from tests.callers import key_headers
from tests.flows.stack import OwnRedis, eventually
from tests.project.web_process import database_of_this_test, web_process

pytestmark = pytest.mark.django_db(transaction=True)

PATH = "/api/v1/api-keys/setup"
EIGHT = ("--preload", "--workers", "8", "--threads", "25")
TWO = ("--preload", "--workers", "2", "--threads", "20")
BURST = str(Path(__file__).with_name("burst.py"))


def key_whose_window_begins_at(second: int) -> NewKey:
    """Make a key with a rate per minute whose next window begins then, as its id decides it."""
    new = registry.create(name="On the edge")
    last_second = (second - 1) % 60
    ids = iter(uuid.uuid4, None)
    chosen = next(one for one in ids if zlib.crc32(str(one).encode()) % 60 == last_second)
    ApiKey.objects.filter(id=new.api_key.id).update(id=chosen)
    return new


def ask(port: int, new: NewKey) -> requests.Response:
    return requests.get(f"http://127.0.0.1:{port}{PATH}", headers=key_headers(new), timeout=30)


def statuses(port: int, new: NewKey, times: int) -> Counter[int]:
    """Ask many times at once; returns how often each status came."""
    with ThreadPoolExecutor(20) as threads:
        return Counter(threads.map(lambda _: ask(port, new).status_code, range(times)))


def statuses_from_processes(port: int, new: NewKey, *, begin: int) -> Counter[int]:
    """Ask 25 times at once from each of 8 client processes."""
    command = [sys.executable, BURST, str(port), PATH, "25", str(begin)]
    clients = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(8)
    ]
    words = json.dumps(key_headers(new)).encode()
    with ThreadPoolExecutor(8) as threads:
        printed = list(threads.map(lambda client: client.communicate(words, 120)[0], clients))
    return Counter(status for text in printed for status in json.loads(text))


@pytest.fixture
def own_redis(tmp_path):
    with OwnRedis(tmp_path) as redis:
        yield redis


def test_of_200_requests_at_once_to_8_processes_exactly_60_pass(tmp_path):
    served = {"DATABASE_URL": database_of_this_test(), "STABLEQUEUE_DATABASE_POOL": "4"}
    with web_process(tmp_path / "log", *EIGHT, **served, STABLEQUEUE_RATE_LIMIT="60/m") as port:
        begin = int(time.time()) + 5
        new = key_whose_window_begins_at(begin)
        before = ask(port, new)
        assert abs(int(before.headers["X-RateLimit-Reset"]) - begin) <= 1

        answered = statuses_from_processes(port, new, begin=begin)

    assert answered == {200: 60, 429: 140}


def test_a_redis_that_goes_and_comes_back_never_costs_an_answer(tmp_path, own_redis):
    served = {"DATABASE_URL": database_of_this_test(), "REDIS_URL": own_redis.url}
    served |= {"STABLEQUEUE_RATE_LIMIT": "30/d", "STABLEQUEUE_TIME_SCALE": "0.02"}
    first, second = registry.create(name="First"), registry.create(name="Second")
    probe = registry.create(name="Probe", rate_limit="1000000/d")

    with web_process(tmp_path / "log", *TWO, **served) as port, ThreadPoolExecutor(1) as meanwhile:
        during = meanwhile.submit(statuses, port, first, 400)
        eventually(own_redis.client.keys, what="a first count in Redis")
        own_redis.stop()
        alone = during.result()
        own_redis.start()
        eventually(lambda: all_are_counted_in(own_redis, port, probe), what="exact counting")
        exact = statuses(port, second, 100)

    # Up to 30 before Redis went, and up to 30 in each process without it.
    assert set(alone) == {200, 429}
    assert 30 <= alone[200] <= 90
    assert exact == {200: 30, 429: 70}


def all_are_counted_in(redis: OwnRedis, port: int, probe: NewKey) -> bool:
    """Say whether all of many requests reached Redis, so that no process is without it."""
    redis.client.flushall()
    statuses(port, probe, 40)
    return redis.client.mget(redis.client.keys("*") or ["none"]) == [b"40"]
