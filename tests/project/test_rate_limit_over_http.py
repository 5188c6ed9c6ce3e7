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
BURST = str(Path(__file__).with_name("burst.py"))


def key_whose_window_begins_at(second: int) -> NewKey:
    """Make a key with a rate per minute whose next window begins then, as its id decides it."""
    new = registry.create(name="On the edge")
    last_second = (second - 1) % 60
    ids = iter(uuid.uuid4, None)
    chosen = next(one for one in ids if zlib.crc32(str(one).encode()) % 60 == last_second)
    ApiKey.objects.filter(id=new.api_key.id).update(id=chosen)
    return new


def burst_of_processes(port: int, new: NewKey, *, processes: int, each: int, begin: int):
    """Ask from many processes, each with many threads; returns how often each status came."""
    command = [sys.executable, BURST, str(port), PATH, str(each), str(begin)]
    clients = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    words = json.dumps(key_headers(new)).encode()
    with ThreadPoolExecutor(processes) as threads:
        printed = list(threads.map(lambda client: client.communicate(words, 120)[0], clients))
    return Counter(status for text in printed for status in json.loads(text))


def test_of_200_requests_at_once_to_8_processes_exactly_60_pass(tmp_path):
    served = {"DATABASE_URL": database_of_this_test(), "STABLEQUEUE_DATABASE_POOL": "4"}
    workers = ("--preload", "--workers", "8", "--threads", "25")
    with web_process(tmp_path / "log", *workers, **served, STABLEQUEUE_RATE_LIMIT="60/m") as port:
        begin = int(time.time()) + 3
        new = key_whose_window_begins_at(begin)

        answered = burst_of_processes(port, new, processes=8, each=25, begin=begin)

    assert answered == {200: 60, 429: 140}
