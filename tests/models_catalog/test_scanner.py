"""Looking through the folders: what is found, what a second look does, what it survives."""

from __future__ import annotations

import os
import threading

import pytest

from events.models import Event
from models_catalog import scanner, scans
from models_catalog.models import FolderFile, Scan
from tests.models_catalog.model_folders import LORA_TENSORS, SD1_TENSORS, put, safetensors

pytestmark = pytest.mark.django_db(transaction=True)

Condition = FolderFile.Condition


def scan():
    scans.want()
    return run()


def run(*arguments, **options):
    return scanner.scan(*arguments, **options)


def begin():
    return scans.begin()


def stop():
    return scans.stop()


def paths():
    return sorted(FolderFile.objects.present().values_list("path", flat=True))


def test_checkpoints_and_loras_are_found_in_all_their_folders(checkpoints, loras, settings):
    put(checkpoints / "a.safetensors")
    put(checkpoints / "Pony" / "deep" / "b.SafeTensors", safetensors(SD1_TENSORS))
    put(checkpoints.parent / "more" / "c.gguf", b"GGUF")
    put(loras / "ink.safetensors", safetensors(LORA_TENSORS))
    settings.CHECKPOINT_DIRS.append(checkpoints.parent / "more")

    done = scan()

    assert (done.state, done.seen, done.added, done.left_out) == ("finished", 4, 4, 0)
    found = dict(FolderFile.objects.values_list("path", "type"))
    assert found == {
        "a.safetensors": "checkpoint",
        "Pony/deep/b.SafeTensors": "checkpoint",
        "c.gguf": "checkpoint",
        "ink.safetensors": "lora",
    }
    bases = dict(FolderFile.objects.values_list("filename", "base_model"))
    assert bases["a.safetensors"] == "SDXL 1.0"
    assert bases["b.SafeTensors"] == "SD 1.5"
    assert Event.objects.filter(kind="models.scanned").count() == 1


def test_a_folder_of_loras_inside_of_that_of_the_checkpoints_holds_loras_only(
    checkpoints, settings
):
    inner = checkpoints / "Lora"
    put(inner / "ink.safetensors", safetensors(LORA_TENSORS))
    settings.LORA_DIRS = [inner]

    scan()

    assert list(FolderFile.objects.values_list("type", "path")) == [("lora", "ink.safetensors")]


def test_a_second_look_opens_nothing_that_is_as_it_was(checkpoints):
    before = put(checkpoints / "same.safetensors")
    put(checkpoints / "other.safetensors")
    scan()
    # Whoever reads it now finds another base model.
    times = before.stat().st_atime_ns, before.stat().st_mtime_ns
    put(checkpoints / "other.safetensors", safetensors(SD1_TENSORS))

    done = scan()

    assert (done.seen, done.added, done.changed, done.missing) == (2, 0, 1, 0)
    assert before.stat().st_mtime_ns == times[1]
    bases = dict(FolderFile.objects.values_list("filename", "base_model"))
    assert bases == {"same.safetensors": "SDXL 1.0", "other.safetensors": "SD 1.5"}


def test_what_changes_beside_a_file_is_read_and_its_hashes_stay(checkpoints):
    file = put(checkpoints / "a.safetensors")
    scan()
    FolderFile.objects.update(sha256="ab" * 32)
    put(file.with_suffix(".json"), b'{"notes": "mine", "baseModel": "Pony"}')
    put(file.with_suffix(".preview.png"), b"\x89PNG\r\n\x1a\n")

    assert scan().changed == 1

    row = FolderFile.objects.get()
    assert (row.notes, row.base_model, row.sha256) == ("mine", "Pony", "ab" * 32)
    assert row.previews == [{"file": "a.preview.png"}]


def test_new_bytes_under_an_old_name_lose_the_hashes(checkpoints):
    file = put(checkpoints / "a.safetensors")
    scan()
    FolderFile.objects.update(sha256="ab" * 32, autov1="12345678")
    put(file, safetensors(SD1_TENSORS))

    scan()

    row = FolderFile.objects.get()
    assert (row.sha256, row.autov1) == ("", "")


def test_a_file_that_is_away_for_a_while_keeps_id_and_hashes(checkpoints):
    file = put(checkpoints / "a.safetensors")
    scan()
    FolderFile.objects.update(sha256="ab" * 32)
    was = FolderFile.objects.get()
    aside = file.rename(checkpoints.parent / "aside")
    assert scan().missing == 1
    assert paths() == []

    aside.rename(file)
    scan()

    row = FolderFile.objects.present().get()
    assert (row.pk, row.sha256) == (was.pk, was.sha256)


def test_a_folder_that_cannot_be_read_loses_nothing(checkpoints, loras):
    put(checkpoints / "a.safetensors")
    put(loras / "ink.safetensors")
    scan()
    (loras / "ink.safetensors").unlink()
    away = checkpoints.rename(checkpoints.parent / "away")

    done = scan()

    assert paths() == ["a.safetensors"]
    assert (done.state, done.missing) == ("finished", 1)
    assert any(str(checkpoints) in sentence for sentence in done.troubles)
    away.rename(checkpoints)


def test_a_folder_that_the_settings_name_no_more_is_forgotten(checkpoints, loras, settings):
    put(checkpoints / "a.safetensors")
    put(loras / "ink.safetensors")
    scan()
    settings.LORA_DIRS = []

    assert scan().missing == 1
    assert paths() == ["a.safetensors"]


# --- what others may have put there ----------------------------------------------------------


@pytest.fixture
def outside(tmp_path):
    return put(tmp_path / "secret" / "outside.safetensors")


def test_nothing_outside_of_the_folders_is_followed(checkpoints, loras, outside):
    (checkpoints / "link.safetensors").symlink_to(outside)
    (checkpoints / "linked").symlink_to(outside.parent)
    (checkpoints / "round").symlink_to(checkpoints)
    (checkpoints / "broken.safetensors").symlink_to("nowhere")
    put(loras / "ink.safetensors")
    (checkpoints / "inside.safetensors").symlink_to(loras / "ink.safetensors")
    good = put(checkpoints / "good.safetensors")
    (checkpoints / "good.json").symlink_to("/etc/passwd")

    done = scan()

    assert paths() == ["good.safetensors", "ink.safetensors", "inside.safetensors"]
    assert done.left_out == 3
    assert FolderFile.objects.get(path=good.name).description == ""


def test_pipes_devices_and_folders_are_no_files(checkpoints):
    os.mkfifo(checkpoints / "pipe.safetensors")
    os.mkfifo(checkpoints / "good.json")
    os.mkfifo(checkpoints / "good.preview.png")
    (checkpoints / "null.ckpt").symlink_to("/dev/zero")
    (checkpoints / "folder.safetensors").mkdir()
    put(checkpoints / "good.safetensors")

    done = scan()

    assert (done.state, paths()) == ("finished", ["good.safetensors"])
    assert done.left_out == 2


NAMES = [
    *("CON.safetensors", "a:b.safetensors", "a%2fb.safetensors", "trailing .safetensors"),
    *("-rf.safetensors", "x..\\..\\x.safetensors", "C:\\x.safetensors", "dot..safetensors"),
    *("\u202egnp.safetensors", "new\nline.safetensors", "$(id).safetensors", "'q\".safetensors"),
    *("x" * 240 + ".safetensors", "💩.safetensors", "~.safetensors", "%00.safetensors"),
]


def test_any_name_that_a_disk_takes_is_listed(checkpoints):
    for name in NAMES:
        put(checkpoints / name)
    put(checkpoints / ".htaccess.safetensors")
    put(checkpoints / "@eaDir" / "thumb.safetensors")

    done = scan()

    assert paths() == sorted(NAMES)
    assert done.left_out == 0


def test_a_name_that_is_no_text_is_left_out_and_said(checkpoints):
    with open(os.fsencode(checkpoints) + b"/\xff.safetensors", "wb") as file:
        file.write(safetensors())
    put(checkpoints / "good.safetensors")

    done = scan()

    assert (paths(), done.left_out) == (["good.safetensors"], 1)
    assert "not UTF-8" in done.troubles[0]


def test_a_pickle_is_listed_and_never_opened(checkpoints):
    for name in ("a.ckpt", "b.pt", "c.bin", "d.pth"):
        # Who opens it waits for ever for somebody to write.
        put(checkpoints / name, b"PK\x03\x04 and cos\nsystem\n(S'id'\ntR.")
    os.chmod(checkpoints / "a.ckpt", 0)

    scan()

    conditions = set(FolderFile.objects.values_list("condition", flat=True))
    assert (conditions, len(paths())) == ({Condition.UNSAFE}, 4)


def test_files_that_vanish_and_change_during_the_scan_do_not_end_it(checkpoints):
    for number in range(300):
        put(checkpoints / f"{number:03}.safetensors")
    going = threading.Event()

    def stir():
        while not going.is_set():
            for number in range(0, 300, 3):
                (checkpoints / f"{number:03}.safetensors").unlink(missing_ok=True)
            for number in range(0, 300, 3):
                put(checkpoints / f"{number:03}.safetensors", b"half")

    stirring = threading.Thread(target=stir)
    stirring.start()
    try:
        done = scan()
    finally:
        going.set()
        stirring.join()

    assert done.state == "finished"
    assert {f"{number:03}.safetensors" for number in range(300) if number % 3} <= set(paths())


# --- its life --------------------------------------------------------------------------------


def test_only_one_scan_is_wanted_or_runs(checkpoints):
    assert scans.want().pk == scans.want().pk
    assert run().state == "finished"
    # The next one is wanted by nobody, and not due for hours.
    assert not scans.are_due()
    assert run() is None


def test_a_wanted_scan_can_be_stopped_before_it_begins(checkpoints):
    scans.want()

    assert stop().state == "stopped"
    assert run() is None


def test_a_running_scan_stops_where_it_is_and_what_it_found_stays(checkpoints, monkeypatch):
    monkeypatch.setattr(scanner, "WORD_EVERY", 0)
    monkeypatch.setattr(scanner, "AT_ONCE", 10)
    for number in range(30):
        put(checkpoints / f"{number:02}.safetensors")
    scans.want()
    asked = []

    def stop_at_the_25th_file():
        asked.append(1)
        if len(asked) == 26:
            scans.stop()
        return False

    done = run(stop_at_the_25th_file)

    assert (done.state, done.seen, done.missing) == ("stopped", 24, 0)
    assert len(paths()) == 20
    assert scan().missing == 0
    assert len(paths()) == 30


def test_a_scan_whose_process_is_gone_is_begun_anew_by_another(checkpoints, settings):
    settings.SCAN_DEAD_AFTER = 0
    put(checkpoints / "a.safetensors")
    scans.want()
    dead = begin()
    refused = []

    def the_dead_one_speaks():
        with pytest.raises(scans.ScanOver):
            scans.tell(dead, scans.Tally(seen=99))
        scans.end(dead, scans.Tally(seen=99), Scan.State.STOPPED)
        scans.give_back(dead)
        refused.append(True)
        return False

    done = run(the_dead_one_speaks)

    assert refused
    assert (done.pk, done.turn, done.state, done.seen) == (dead.pk, 2, "finished", 1)


def test_a_worker_that_has_to_go_leaves_the_scan_to_the_next(checkpoints):
    put(checkpoints / "a.safetensors")
    scans.want()

    assert run(is_leaving=lambda: True).state == "wanted"
    assert run().state == "finished"


def test_without_folders_nothing_is_due(settings):
    settings.CHECKPOINT_DIRS = settings.LORA_DIRS = []

    assert not scans.are_due()
    scans.want()
    assert run().state == "finished"
