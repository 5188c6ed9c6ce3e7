"""Pictures on disk: the folder that is ours, and names that are given once."""

import errno
import os
from uuid import uuid4

import pytest

from jobs import images
from jobs.images import MARK, FolderIsAnother
from tests.factories import make_completed

pytestmark = pytest.mark.django_db


def staged(content=b"a picture"):
    return images.stage(job_id=uuid4(), attempt=1, pictures=[content], seeds=[7])


def pictures_in(folder):
    return sorted(path.name for path in folder.glob("*.png"))


def test_a_folder_that_does_not_exist_is_made_at_first(folders):
    folders.rmdir()

    images.require_writable()

    assert (folders / MARK).exists()


def test_an_empty_folder_is_not_taken_for_the_one_with_the_pictures(folders):
    make_completed()
    folders.rename(folders.with_name("elsewhere"))

    with pytest.raises(FolderIsAnother):
        images.require_writable()
    assert not folders.exists()

    folders.mkdir()
    with pytest.raises(FolderIsAnother):
        images.require_writable()


def test_a_folder_that_holds_our_pictures_needs_no_mark(folders):
    make_completed()

    images.require_writable()

    assert (folders / MARK).exists()


def test_a_person_can_say_that_an_empty_folder_is_meant(folders):
    make_completed()
    folders.rename(folders.with_name("elsewhere"))
    folders.mkdir()
    (folders / MARK).touch()

    images.require_writable()


def test_to_ask_whether_the_folder_is_there_writes_nothing(folders):
    images.require_there()
    before = folders.stat().st_mtime_ns
    images.require_there()

    assert folders.stat().st_mtime_ns == before
    assert not (folders / images.STAGING).exists()


def test_publishing_again_changes_nothing(folders):
    pictures = staged()
    images.publish(pictures)

    images.publish(pictures)

    assert pictures_in(folders) == [pictures[0].name]


def test_a_name_that_is_taken_is_never_overwritten(folders):
    pictures = staged()
    (folders / pictures[0].name).write_bytes(b"another one")

    with pytest.raises(FileExistsError):
        images.publish(pictures)

    assert (folders / pictures[0].name).read_bytes() == b"another one"


@pytest.fixture
def _no_links(monkeypatch):
    """A disk that knows no hard links."""

    def refuse(*_):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("_no_links")
def test_without_hard_links_a_picture_gets_its_name_too(folders):
    pictures = staged()

    images.publish(pictures)
    images.publish(pictures)

    assert (folders / pictures[0].name).read_bytes() == b"a picture"


@pytest.mark.usefixtures("_no_links")
def test_without_hard_links_a_name_that_is_taken_is_not_overwritten_either(folders):
    pictures = staged()
    (folders / pictures[0].name).write_bytes(b"another one")

    with pytest.raises(FileExistsError):
        images.publish(pictures)

    assert (folders / pictures[0].name).read_bytes() == b"another one"
