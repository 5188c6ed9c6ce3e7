"""Small versions of the pictures, and pictures made to break their reader."""

import io
import os
import signal
import struct
import threading
import zlib

import psutil  # type: ignore[import-untyped]
import pytest
from django.db import connection
from django.test import Client
from PIL import Image as Picture

from imaging import making
from jobs import images, lifecycle, thumbnails
from tests.factories import make_completed, make_job, make_server, png
from tests.flows.stack import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _outputs(folders):
    """Each test has folders of its own."""


def picture_of(job):
    return job.images.get()


def thumbnail(picture, size):
    content = thumbnails.path_of(picture.name, size).read_bytes()
    return Picture.open(io.BytesIO(content), formats=["WEBP"])


def get(picture, size):
    """The answer and its whole body."""
    response = Client().get(f"/outputs/{picture.name}?size={size}")
    return response, response.getvalue()


def make_from_a_pipe(picture, meanwhile):
    """Make thumbnails of a picture that comes slowly; calls `meanwhile` with the maker."""
    path = images.path_of(picture.name)
    path.unlink()
    os.mkfifo(path)
    making = threading.Thread(target=_make)
    making.start()
    maker = eventually(_maker, what="the maker")
    meanwhile(maker, path)
    making.join()


def _make():
    thumbnails.make_due()
    connection.close()


def _maker():
    children = psutil.Process().children()
    return next((child for child in children if "imaging.thumbnail_maker" in child.cmdline()), None)


def bomb(side):
    """A PNG of a few KiB that claims to have `side` by `side` pixels."""

    def chunk(kind, data):
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1024 * 1024))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def large():
    """A true picture, of one bit a pixel, that has just too many of them."""
    file = io.BytesIO()
    Picture.new("1", (8100, 8100)).save(file, "PNG")
    return file.getvalue()


def noise():
    file = io.BytesIO()
    Picture.frombytes("RGB", (64, 64), os.urandom(3 * 64 * 64)).save(file, "PNG")
    return file.getvalue()


def animated(frames):
    file = io.BytesIO()
    all_of_them = [Picture.new("RGB", (8, 8), (shade, 0, 0)) for shade in range(frames)]
    all_of_them[0].save(file, "PNG", save_all=True, append_images=all_of_them[1:])
    return file.getvalue()


def test_a_completed_picture_gets_both_sizes_and_keeps_its_shape():
    picture = picture_of(make_completed(None, png(size=(1024, 512))))
    assert thumbnails.are_due()

    assert thumbnails.make_due() == 1

    assert thumbnail(picture, "small").size == (256, 128)
    assert thumbnail(picture, "large").size == (768, 384)
    assert thumbnail(picture, "small").format == "WEBP"
    picture.refresh_from_db()
    sizes = [thumbnails.path_of(picture.name, size).stat().st_size for size in thumbnails.SIZES]
    assert picture.thumbnail_bytes == sum(sizes)
    assert not thumbnails.are_due()


def test_a_small_picture_is_not_blown_up():
    picture = picture_of(make_completed())

    thumbnails.make_due()

    assert thumbnail(picture, "large").size == (8, 8)


@pytest.mark.parametrize(
    "content",
    [bomb(50_000), large(), b"\x89PNG\r\n\x1a\n and no more", noise()[:6000], b"<svg/>"],
    ids=["bomb", "too many pixels", "no picture", "truncated", "svg"],
)
def test_a_hostile_picture_is_given_up_and_the_others_are_not(content):
    server = make_server()
    good = picture_of(make_completed(make_job(server), png()))
    bad = picture_of(make_completed(make_job(server), content))

    thumbnails.make_due()

    assert thumbnails.path_of(good.name, "small").exists()
    assert not thumbnails.path_of(bad.name, "small").exists()
    assert not thumbnails.are_due()
    assert get(bad, "small")[1] == content


def test_of_an_animation_the_first_frame_is_taken():
    picture = picture_of(make_completed(None, animated(60)))

    thumbnails.make_due()

    assert getattr(thumbnail(picture, "small"), "n_frames", 1) == 1


def test_a_picture_that_kills_its_reader_kills_nothing_else():
    server = make_server()
    other = picture_of(make_completed(make_job(server)))
    deadly = picture_of(make_completed(make_job(server)))

    make_from_a_pipe(deadly, lambda maker, _: maker.send_signal(signal.SIGSEGV))

    deadly.refresh_from_db()
    assert (deadly.thumbnails_due_at, deadly.thumbnail_bytes) == (None, 0)
    assert thumbnails.make_due() == 1
    assert thumbnails.path_of(other.name, "small").exists()


def test_a_picture_that_takes_for_ever_is_given_up(monkeypatch):
    monkeypatch.setattr(making, "PATIENCE", 0.5)
    picture = picture_of(make_completed())

    make_from_a_pipe(picture, lambda maker, _: None)

    assert not thumbnails.are_due()


def test_a_picture_that_cannot_be_read_now_is_tried_again_later(folders):
    picture = picture_of(make_completed())
    hidden = folders / "hidden"
    images.path_of(picture.name).rename(hidden)

    assert thumbnails.make_due() == 0

    assert not thumbnails.are_due()
    picture.refresh_from_db()
    assert picture.thumbnails_due_at is not None


def test_thumbnails_are_served_for_ever_and_until_then_the_picture_stands_in():
    picture = picture_of(make_completed())

    before, _ = get(picture, "small")
    assert before["Content-Type"] == "image/png"
    assert before["Cache-Control"] == "private, no-cache"

    thumbnails.make_due()
    after, _ = get(picture, "small")
    assert after["Content-Type"] == "image/webp"
    assert "immutable" in after["Cache-Control"]
    assert after["X-Content-Type-Options"] == "nosniff"


def test_a_thumbnail_that_is_missing_is_made_again():
    picture = picture_of(make_completed())
    thumbnails.make_due()
    thumbnails.path_of(picture.name, "large").unlink()

    assert get(picture, "large")[0].status_code == 200

    assert thumbnails.make_due() == 1
    assert thumbnails.path_of(picture.name, "large").exists()


def test_an_unknown_size_is_refused():
    picture = picture_of(make_completed())

    assert get(picture, "huge")[0].status_code == 400


def test_thumbnails_go_with_their_picture():
    job = make_completed()
    name = picture_of(job).name
    thumbnails.make_due()

    lifecycle.delete(job_id=job.id)

    assert not any(thumbnails.path_of(name, size).exists() for size in thumbnails.SIZES)


def test_thumbnails_of_a_picture_deleted_meanwhile_do_not_stay(folders):
    job = make_completed()

    def delete_it(maker, path):
        # Opened as soon as the maker begins to read.
        with path.open("wb") as pipe:
            lifecycle.delete(job_id=job.id)
            pipe.write(png())

    make_from_a_pipe(picture_of(job), delete_it)

    assert not list((folders / thumbnails.FOLDER).rglob("*.webp"))
