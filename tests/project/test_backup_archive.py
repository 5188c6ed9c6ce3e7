"""An archive that is damaged, or was made to do harm, is refused as a whole."""

import io
import os
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stablequeue_project.backup import contents, layout
from stablequeue_project.backup.errors import ArchiveDamaged, BackupError
from stablequeue_project.backup.reader import ArchiveReader
from stablequeue_project.backup.writer import ArchiveWriter
from tests.project import doctored

SMALL = doctored.small()


def read(archive):
    return [
        (member.name, member.content()) for member in ArchiveReader(io.BytesIO(archive)).members()
    ]


def header(name="pictures/b.png", **fields):
    made = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def refusal(archive):
    with pytest.raises(BackupError) as caught:
        contents.verify(io.BytesIO(archive))
    return str(caught.value)


def test_what_was_written_is_found_intact():
    found = contents.verify(io.BytesIO(SMALL))

    assert (found.key, found.files, found.missing) == ("k" * 64, 2, 0)


@given(cut=st.integers(0, len(SMALL) - 1025))
def test_an_archive_that_ends_early_is_refused(cut):
    with pytest.raises(ArchiveDamaged):
        contents.verify(io.BytesIO(SMALL[:cut]))


@given(place=st.integers(0, len(SMALL) - 1025), change=st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_changes_nothing(place, change):
    damaged = bytearray(SMALL)
    damaged[place] ^= change

    try:
        contents.verify(io.BytesIO(damaged))
    except ArchiveDamaged:
        return
    assert read(bytes(damaged)) == read(SMALL)


@pytest.mark.parametrize(
    "name",
    [
        *("../evil", "/etc/passwd", "pictures/../../evil", "pictures/a/b.png", "pictures/.ssh"),
        *("pictures/", "pictures/a\\b", "inputs/../x", "inputs/" + "A" * 64, "secret.key2"),
        *("database/x;drop.000001.gz", "database/../x.000001.gz", "SHA256SUMS.1", "PICTURES/a.png"),
    ],
)
def test_a_name_that_is_not_one_of_ours_is_refused(name):
    assert "is not for us" in refusal(doctored.with_member(header(name)))


@pytest.mark.parametrize(
    "kind",
    [
        *(tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE),
        *(tarfile.FIFOTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE, tarfile.GNUTYPE_LONGNAME),
        *(tarfile.XHDTYPE, tarfile.XGLTYPE),
    ],
)
def test_only_plain_files_are_let_through(kind):
    archive = doctored.with_member(header(type=kind, linkname="/etc/passwd"))

    assert "is not for us" in refusal(archive)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("secret.key", 10_000),
        ("database/jobs_job.000001.gz", layout.PIECE_BYTES * 4),
        ("pictures/b.png", 2**42),
        ("pictures/b.png", -512),
        ("manifest.json", 2**30),
    ],
)
def test_a_size_beyond_bounds_is_refused_before_anything_is_read(name, size):
    refused = refusal(doctored.with_member(header(name, size=size)))

    assert f"{name} says it has" in refused or "cannot be read" in refused


def test_a_second_key_is_refused():
    assert "is not where it should be" in refusal(doctored.with_member(header("secret.key")))


def test_json_that_is_too_deep_is_refused():
    writer = ArchiveWriter(out := io.BytesIO())
    writer.add(layout.HEAD, b"[" * 900_000)

    assert "stablequeue.json cannot be read" in refusal(out.getvalue())


def test_a_file_taken_out_is_noticed_even_if_the_sums_are_true():
    archive = doctored.rewritten(
        io.BytesIO(SMALL), lambda name, content: None if name == "pictures/a.png" else content
    )

    assert "files are missing" in refusal(archive.getvalue())


@pytest.mark.parametrize(
    "words", [{"format": 2}, {"migrations": [["jobs", "0999_of_the_year_after_next"]]}]
)
def test_one_of_a_newer_version_is_refused_with_what_to_do(words):
    archive = doctored.with_head(io.BytesIO(SMALL), **words)

    said = refusal(archive.getvalue())

    assert "newer StableQueue" in said
    assert "Install that version" in said


@pytest.mark.parametrize(
    "words",
    [
        {"format": "1"},
        {"migrations": {}},
        {"migrations": ["ab"]},
        {"tables": []},
        {"tables": {"jobs_job": "id"}},
    ],
)
def test_a_head_that_says_nonsense_is_refused(words):
    refusal(doctored.with_head(io.BytesIO(SMALL), **words).getvalue())


def test_many_large_files_need_little_memory(tmp_path):
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(200_000_000)

    tracemalloc.start()
    with open(os.devnull, "wb") as out:
        writer = ArchiveWriter(out)
        for number in range(3):
            writer.add_file(layout.picture_name(f"{number}.png"), large)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert writer.bytes == 600_000_000
    assert peak < 10_000_000
