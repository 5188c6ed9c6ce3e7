"""The model folders, looked through by real processes: what is hostile, and who is killed."""

from __future__ import annotations

import os
import struct

import psutil  # type: ignore[import-untyped]
import pytest

from tests.flows.stack import Stack, eventually
from tests.models_catalog.model_folders import put, safetensors

MOST_MEMORY = 300 * 2**20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models") / "Stable-diffusion"


@pytest.fixture(scope="module")
def stack(tmp_path_factory, own_redis, folder):
    """A StableQueue with a folder of checkpoints."""
    folder.mkdir()
    data = tmp_path_factory.mktemp("catalogue") / "data"
    with Stack(data, redis_url=own_redis.url, STABLEQUEUE_CHECKPOINT_DIRS=str(folder)) as running:
        yield running


def ask(stack, method, path, **options):
    answer = stack.api.request(method, f"{stack.url}/api/v1/{path}", timeout=30, **options)
    assert answer.ok, answer.text
    return answer.json()


def scan(stack, before_it_ends=lambda: None):
    """Have the folder looked through; returns the scan once it has ended."""
    wanted = ask(stack, "POST", "models/scan", json={})["scan"]["id"]
    before_it_ends()

    def ended():
        told = ask(stack, "GET", "models/scan")["scan"]
        return told if told["id"] >= wanted and told["ended_at"] else None

    return eventually(ended, seconds=60, what="the end of the scan")


def is_hashed(stack):
    return ask(stack, "GET", "models/scan")["waiting_to_be_hashed"] == 0


def chores_worker(stack):
    return next(
        process
        for process in stack._children()
        if any("chores,scans" in word for word in process.cmdline())
        and "celery" in " ".join(process.cmdline())
    )


def hostile(text):
    return struct.pack("<Q", len(text)) + text


def test_a_hostile_folder_is_looked_through_and_the_rest_listed(stack, folder, tmp_path):
    room = 16 * 2**20 - 100
    put(folder / "lists.safetensors", hostile(b'{"a":[' + b"[]," * (room // 3) + b"0]}"))
    tensors = (
        b'"%07d":{"dtype":"F16","shape":[1],"data_offsets":[0,0]},' % number
        for number in range(room // 60)
    )
    put(folder / "tensors.safetensors", hostile(b"{" + b"".join(tensors) + b'"a":0}'))
    put(folder / "deep.safetensors", hostile(b'{"a":' * 100_000))
    put(folder / "huge.safetensors", struct.pack("<Q", 2**63) + b"{}")
    with put(folder / "sparse.safetensors", b"").open("r+b") as file:
        file.truncate(2**40)
    put(folder / "pickle.ckpt", b"cos\nsystem\n(S'touch pwned'\ntR.")
    os.mkfifo(folder / "pipe.safetensors")
    (folder / "out.safetensors").symlink_to(put(tmp_path / "outside.safetensors"))
    (folder / "round").symlink_to(folder)
    put(folder / "good.json", b"[" * 8_000_000)
    put(folder / "Pony" / "good.safetensors")

    done = scan(stack)

    assert done["state"] == "finished"
    models = ask(stack, "GET", "models")["models"]
    conditions = {model["filename"]: model["condition"] for model in models}
    assert conditions.pop("good.safetensors") == "read"
    assert conditions.pop("pickle.ckpt") == "unsafe"
    assert set(conditions) == {
        f"{n}.safetensors" for n in ("lists", "tensors", "deep", "huge", "sparse")
    }
    assert set(conditions.values()) == {"unreadable"}
    assert most_memory_of(chores_worker(stack)) < MOST_MEMORY
    (folder / "sparse.safetensors").unlink()


def most_memory_of(process: psutil.Process) -> int:
    """The most it ever took, as the kernel remembers."""
    with open(f"/proc/{process.pid}/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_a_chores_worker_that_is_killed_in_the_middle_loses_no_scan_and_no_hash(stack, folder):
    for number in range(400):
        put(folder / "many" / f"{number:03}.safetensors", safetensors(fill=b"%c" % (number % 256)))

    def kill_its_worker():
        begun = ("running", "finished")
        eventually(lambda: ask(stack, "GET", "models/scan")["scan"]["state"] in begun, what="it")
        stack.kill("chores,scans")

    done = scan(stack, before_it_ends=kill_its_worker)

    assert done["state"] == "finished"
    eventually(lambda: is_hashed(stack), seconds=60, what="all hashes")
    models = {model["filename"]: model for model in ask(stack, "GET", "models")["models"]}
    assert all(models[f"{number:03}.safetensors"]["sha256"] for number in range(400))


def test_chores_are_done_while_files_are_looked_through(stack, folder, forge):
    ask(stack, "POST", "models/scan", json={})

    alias = stack.add_server(forge.port)

    eventually(lambda: stack.server(alias)["health"] == "online", what="a probe")
    job = stack.wait_for(stack.generate(alias), "completed")
    assert job["result_details"]["images"]
