"""The hashes of files: the right ones, each made once, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import os

import pytest

from models_catalog import hashing, scanner, scans
from models_catalog.digests import Abandoned, digests_of
from models_catalog.models import FolderFile
from tests.models_catalog.model_folders import LORA_TENSORS, put, safetensors

LONG = safetensors({"a": [1024, 1100]})


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"

    def made(content):
        path.write_bytes(content)
        return path.open("rb")

    return made


def test_all_hashes_are_those_of_the_tools_that_invented_them(file):
    content = os.urandom(3 * 2**20 + 12345)

    with file(content) as opened:
        made = digests_of(opened, tensors_at=100)

    assert made.sha256 == sha256(content)
    assert made.autov1 == sha256(content[2**20 : 2**20 + 2**16])[:8]
    assert made.autov3 == sha256(content[100:])[:12]


@pytest.mark.parametrize("at", [1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_the_tensors_may_begin_anywhere(file, at):
    content = os.urandom(3 * 2**20 + 7)

    with file(content) as opened:
        assert digests_of(opened, tensors_at=at).autov3 == sha256(content[at:])[:12]


def test_a_short_file_has_no_autov1(file):
    with file(b"short") as opened:
        assert digests_of(opened).autov1 == ""


def test_hashing_ends_when_it_is_told_to(file):
    with file(bytes(2**21)) as opened, pytest.raises(Abandoned):
        digests_of(opened, is_over=lambda: True)


# --- of the files in the folders -------------------------------------------------------------


@pytest.fixture
def scanned(checkpoints, loras, transactional_db):
    """Scan the folders as they are."""

    def scan():
        scans.want()
        return scanner.scan()

    return scan


def rows():
    return {row.path: row for row in FolderFile.objects.all()}


def test_files_are_hashed_once(checkpoints, loras, scanned):
    put(checkpoints / "a.safetensors", LONG)
    put(checkpoints / "b.ckpt", b"a pickle")
    put(loras / "tells.safetensors", safetensors(LORA_TENSORS, {"sshs_model_hash": "AB" * 32}))
    silent = put(loras / "silent.safetensors", safetensors(LORA_TENSORS))
    scanned()

    assert hashing.are_due()
    assert hashing.hash_due() == 4

    found = rows()
    assert found["a.safetensors"].sha256 == sha256(LONG)
    assert len(found["a.safetensors"].autov1) == 8
    assert found["a.safetensors"].autov3 == ""
    assert found["b.ckpt"].sha256 == sha256(b"a pickle")
    assert found["tells.safetensors"].autov3 == "ab" * 6
    tensors = silent.read_bytes()[-2 * 8 * 16 :]
    assert found["silent.safetensors"].autov3 == sha256(tensors)[:12]
    assert not hashing.are_due()
    assert hashing.hash_due() == 0


def test_a_hash_of_nothing_is_no_hash(checkpoints, loras, scanned):
    content = safetensors(LORA_TENSORS, {"sshs_model_hash": sha256(b"")})
    put(loras / "a.safetensors", content)
    put(loras / "empty.safetensors", safetensors({}))
    scanned()

    hashing.hash_due()

    assert rows()["a.safetensors"].autov3 == sha256(content[-2 * 8 * 16 :])[:12]
    assert rows()["empty.safetensors"].autov3 == ""


def test_a_file_that_changes_meanwhile_is_left_to_the_next_scan(checkpoints, scanned):
    file = put(checkpoints / "a.safetensors")
    scanned()
    put(file, LONG)

    hashing.hash_due()

    assert rows()["a.safetensors"].sha256 == ""
    assert not hashing.are_due()
    scanned()
    hashing.hash_due()
    assert rows()["a.safetensors"].sha256 == sha256(LONG)


def test_a_file_that_is_gone_or_became_a_pipe_holds_up_nothing(checkpoints, scanned):
    gone, piped = put(checkpoints / "gone.safetensors"), put(checkpoints / "piped.safetensors")
    put(checkpoints / "good.safetensors")
    scanned()
    gone.unlink()
    piped.unlink()
    os.mkfifo(piped)

    hashing.hash_due()

    assert not hashing.are_due()
    assert rows()["good.safetensors"].sha256
    assert set(FolderFile.objects.present().values_list("path", flat=True)) == {
        "good.safetensors",
        "piped.safetensors",
    }


def test_what_lies_elsewhere_by_now_is_not_hashed(checkpoints, scanned, tmp_path):
    file = put(checkpoints / "a.safetensors")
    scanned()
    file.rename(tmp_path / "outside")
    file.symlink_to(tmp_path / "outside")

    hashing.hash_due()

    assert rows()["a.safetensors"].sha256 == ""


def test_a_worker_that_has_to_go_begins_no_other_file(checkpoints, scanned):
    put(checkpoints / "a.safetensors")
    scanned()

    assert hashing.hash_due(is_leaving=lambda: True) == 0
    assert hashing.are_due()


def test_a_turn_ends_by_itself_and_the_small_ones_come_first(checkpoints, scanned, settings):
    settings.HASH_TURN = 0
    put(checkpoints / "a.safetensors")
    scanned()

    assert hashing.hash_due() == 0
    settings.HASH_TURN = 60
    assert hashing.hash_due() == 1


def test_hashing_is_nice_to_others_and_nobody_else_is(checkpoints, scanned):
    put(checkpoints / "a.safetensors")
    scanned()
    before = os.nice(0)

    hashing.hash_due()

    assert os.nice(0) == before
